/** What the whole page shares: the list of conversations, the one that is open, and who can answer. */

import { computed, effect, signal } from "@preact/signals";
import type { Socket } from "phoenix";
import * as api from "./api";
import { Session } from "./session";
import { connect, connection } from "./socket";
import * as lists from "./state/conversations";
import { toast } from "./state/toasts";
import type { AssistantInfo, Conversation, ModelList } from "./wire";

const PATH = /^\/c\/([^/]+)\/?$/;

export class Desk {
  /** `null` until the server has told. */
  readonly conversations = signal<readonly Conversation[] | null>(null);
  readonly assistants = signal<readonly AssistantInfo[]>([]);
  readonly models = signal<ModelList>({ default: null, items: [] });
  readonly session;
  readonly openId = computed(() => this.session.value.id.value);
  /** The list knows the newest title; a conversation that is not in it (yet) knows its own. */
  readonly conversation = computed(() => {
    const listed = this.conversations.value?.find((conversation) => conversation.id === this.openId.value);
    return listed ?? this.session.value.thread.value.conversation;
  });

  private readonly socket: Socket = connect();

  constructor() {
    this.session = signal(this.sessionFor(location.pathname));
    addEventListener("popstate", () => this.enter(this.sessionFor(location.pathname)));
    effect(() => {
      const title = this.openId.value === null ? "" : (this.conversation.value?.title ?? "");
      document.title = title ? `${title} · Antiphon` : "Antiphon";
    });
    effect(() => {
      if (connection.value === "open") void this.refreshCatalogue();
    });
    this.watchList();
  }

  open(id: string): void {
    if (id === this.openId.value) return;
    history.pushState(null, "", `/c/${encodeURIComponent(id)}`);
    this.enter(this.sessionFor(location.pathname));
  }

  openNew(): void {
    if (location.pathname !== "/") history.pushState(null, "", "/");
    if (this.session.value.state.value !== "new") this.enter(this.sessionFor("/"));
  }

  async rename(id: string, title: string): Promise<void> {
    try {
      this.put(await api.renameConversation(id, title));
    } catch (error) {
      toast(`Not renamed. ${(error as Error).message}`, { label: "Try again", run: () => void this.rename(id, title) });
    }
  }

  async delete(id: string): Promise<void> {
    try {
      await api.deleteConversation(id);
      this.drop(id);
    } catch (error) {
      toast(`Not deleted. ${(error as Error).message}`, { label: "Try again", run: () => void this.delete(id) });
    }
  }

  private sessionFor(path: string): Session {
    const id = PATH.exec(path)?.[1];
    return new Session(this.socket, id === undefined ? null : decodeURIComponent(id), (conversation) => {
      history.pushState(null, "", `/c/${encodeURIComponent(conversation.id)}`);
      this.put(conversation);
    });
  }

  private enter(session: Session): void {
    this.session.value.close();
    this.session.value = session;
  }

  private watchList(): void {
    const channel = this.socket.channel("conversations", {});
    channel.on("created", (event: { conversation: Conversation }) => this.put(event.conversation));
    channel.on("updated", (event: { conversation: Conversation }) => this.put(event.conversation));
    channel.on("deleted", (event: { id: string }) => this.drop(event.id));
    channel.join().receive("ok", (reply: { conversations: Conversation[] }) => {
      this.conversations.value = lists.listed(reply.conversations);
    });
  }

  private put(conversation: Conversation): void {
    this.conversations.value = lists.upserted(this.conversations.value ?? [], conversation);
  }

  private drop(id: string): void {
    this.conversations.value = lists.removed(this.conversations.value ?? [], id);
    if (id !== this.openId.value) return;
    history.replaceState(null, "", "/");
    this.enter(this.sessionFor("/"));
  }

  /** A server that came back may offer other models; without its answer the page only shows less. */
  async refreshCatalogue(): Promise<void> {
    const [assistants, models] = await Promise.allSettled([api.fetchAssistants(), api.fetchModels()]);
    if (assistants.status === "fulfilled") this.assistants.value = assistants.value;
    if (models.status === "fulfilled") this.models.value = models.value;
  }
}
