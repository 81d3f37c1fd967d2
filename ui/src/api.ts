/** The REST API: what is asked once and not watched. */

import type { AssistantInfo, Attachment, Conversation, ModelList } from "./wire";

async function problemOf(response: Response): Promise<string> {
  return sentenceOf(await response.json().catch(() => null), response.status);
}

function sentenceOf(body: unknown, status: number): string {
  const problem = body as { detail?: unknown; title?: unknown } | null;
  const text = problem?.detail ?? problem?.title;
  return typeof text === "string" && text ? text : `The server answered ${status}.`;
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

/** Sends a file, telling how much of it has gone (0 to 1); `fetch` cannot tell that. */
export function uploadFile(file: File, onProgress: (share: number) => void): { done: Promise<Attachment>; abort: () => void } {
  const asked = new XMLHttpRequest();
  const done = new Promise<Attachment>((resolve, reject) => {
    asked.open("POST", `/api/v1/files?name=${encodeURIComponent(file.name || "pasted")}`);
    asked.setRequestHeader("content-type", file.type || "application/octet-stream");
    asked.responseType = "json";
    asked.upload.onprogress = (event) => event.lengthComputable && onProgress(event.loaded / event.total);
    asked.onerror = () => reject(new Error("The server did not answer."));
    asked.onload = () => {
      if (asked.status === 201) resolve(asked.response as Attachment);
      else reject(new Error(sentenceOf(asked.response, asked.status)));
    };
    asked.send(file);
  });
  return { done, abort: () => asked.abort() };
}
