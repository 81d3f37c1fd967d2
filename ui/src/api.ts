/** The REST API: what is asked once and not watched. */

import type { AssistantInfo, Conversation, ModelList } from "./wire";

async function problemOf(response: Response): Promise<string> {
  const problem = (await response.json().catch(() => null)) as { detail?: unknown; title?: unknown } | null;
  const text = problem?.detail ?? problem?.title;
  return typeof text === "string" && text ? text : `The server answered ${response.status}.`;
}

async function request(path: string, init?: RequestInit): Promise<Response> {
  const asked = fetch(`/api/v1${path}`, { headers: { "content-type": "application/json" }, ...init });
  const response = await asked.catch(() => {
    throw new Error("The server did not answer.");
  });
  if (!response.ok) throw new Error(await problemOf(response));
  return response;
}

export async function fetchAssistants(): Promise<AssistantInfo[]> {
  const response = await request("/assistants");
  return ((await response.json()) as { items: AssistantInfo[] }).items;
}

export async function fetchModels(): Promise<ModelList> {
  const response = await request("/models");
  return (await response.json()) as ModelList;
}

export async function renameConversation(id: string, title: string): Promise<Conversation> {
  const response = await request(`/conversations/${encodeURIComponent(id)}`, {
    method: "PATCH",
    body: JSON.stringify({ title }),
  });
  return (await response.json()) as Conversation;
}

export async function deleteConversation(id: string): Promise<void> {
  await request(`/conversations/${encodeURIComponent(id)}`, { method: "DELETE" });
}
