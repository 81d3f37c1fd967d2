/**
 * One open conversation: its channel, its state, and the way from the one to the other.
 *
 * A session may begin without a conversation; the first message creates it. What is sent is shown at once and sent
 * again after every lost connection until the server acknowledges it, which drops repetitions by `client_id`.
 */

import { computed, signal } from "@preact/signals";
import type { ReadonlySignal, Signal } from "@preact/signals";
import { Presence } from "phoenix";
import type { Channel, Socket } from "phoenix";
import { NoAnswer, connection, joinOnce, replyTo } from "./socket";
import { announce } from "./state/announcer";
import { EMPTY_ANSWER, applyDelta, applyTool } from "./state/live";
import type { LiveAnswer } from "./state/live";
import { others, personOf } from "./state/people";
import type { PresentPerson } from "./state/people";
import { keepOutbox, outboxOf } from "./state/storage";
import * as threads from "./state/thread";
import type { Pending, Thread } from "./state/thread";
import { toast } from "./state/toasts";
import type {
  Accepted,
  Approval,
  Attachment,
  Conversation,
  Delta,
  FeedbackEvent,
  HistoryReply,
  JoinReply,
  MessageEvent,
  ToolUpdate,
  TurnEnd,
  TurnStart,
  Verdict,
} from "./wire";

const PAGE = 50;

interface Writing {
  answer: LiveAnswer;
  shown: Signal<LiveAnswer>;
}

export type SessionState = "new" | "opening" | "open" | "missing";

export class Session {
  readonly id = signal<string | null>(null);
  readonly state = signal<SessionState>("new");
  readonly thread = signal<Thread>(threads.EMPTY_THREAD);
  /** Who else has the conversation open. */
  readonly others = signal<readonly PresentPerson[]>([]);
  /** The turn that can be stopped now; while the server is away nobody would hear of it. */
  readonly stoppable = computed(() => (connection.value === "lost" ? null : threads.runningTurn(this.thread.value)));

  private channel: Channel | null = null;
  private readonly writing = new Map<string, Writing>();
  private readonly inFlight = new Set<string>();
  private frame = 0;
  private person = "";
  private loadingOlder = false;
  private closing = false;

  constructor(
    private readonly socket: Socket,
    id: string | null,
    private readonly onCreated: (conversation: Conversation) => void,
  ) {
    if (id !== null) this.open(id);
  }

  /** The growing answer of a turn. Changes at most once per animation frame. */
  answer(turnId: string): ReadonlySignal<LiveAnswer> {
    return this.write(turnId).shown;
  }

  send(text: string, attachments: Attachment[] = []): void {
    const entry: Pending = { clientId: crypto.randomUUID(), text, attachments, at: new Date().toISOString(), state: "sending" };
    this.change(threads.sent(this.thread.value, entry));
    if (this.id.value === null) void this.create();
    else this.deliver();
  }

  retry(entry: Pending): void {
    const { clientId, text, attachments, at } = entry;
    this.change(threads.sent(this.thread.value, { clientId, text, attachments, at, state: "sending" }));
    this.deliver();
  }

  discard(clientId: string): void {
    this.change(threads.discarded(this.thread.value, clientId));
  }

  cancel(turnId: string): void {
    if (!this.channel) return;
    replyTo(this.channel.push("cancel", { turn_id: turnId })).catch((error: Error) => {
      // A turn that ended in the meantime needs no stopping.
      if (turnId in this.thread.value.turns) toast(error.message, { label: "Try again", run: () => this.cancel(turnId) });
    });
  }

  answerApproval(approval: Approval, verdict: "approve" | "deny", reason?: string): void {
    if (!this.channel) return;
    const payload = reason ? { id: approval.id, reason: whole(reason) } : { id: approval.id };
    replyTo(this.channel.push(verdict, payload)).catch((error: Error) => toast(error.message));
  }

  /** What this person thinks of an answer; without a verdict it is taken back. Everybody here is told by an event. */
  async judge(messageId: string, verdict: Verdict | null, comment?: string): Promise<void> {
    if (!this.channel) return;
    const payload = { message_id: messageId, verdict, ...(comment ? { comment: whole(comment) } : {}) };
    await replyTo(this.channel.push("feedback", payload)).catch((error: Error) => toast(error.message));
  }

  /** Fetches the page before the oldest message; `around` wraps the moment at which it is added. */
  async loadOlder(around: (apply: () => void) => void): Promise<void> {
    const before = threads.oldestPosition(this.thread.value);
    if (!this.channel || this.loadingOlder || !this.thread.value.more || before === null) return;
    this.loadingOlder = true;
    try {
      const reply = await replyTo<HistoryReply>(this.channel.push("history", { before, limit: PAGE }));
      around(() => this.change(threads.prepended(this.thread.value, reply)));
    } catch (error) {
      toast(`Earlier messages did not arrive. ${(error as Error).message}`);
    } finally {
      this.loadingOlder = false;
    }
  }

  /** Leaves the conversation, once everything typed into it is on the server. */
  close(): void {
    this.closing = true;
    this.leaveWhenSent();
  }

  // --- joining -----------------------------------------------------------------------------------------------------

  private async create(): Promise<void> {
    if (this.state.value !== "new") return;
    this.state.value = "opening";
    const channel = this.socket.channel("conversation:new", { client_id: crypto.randomUUID() });
    const { conversation } = await joinOnce<{ conversation: Conversation }>(channel, toast);
    channel.leave();
    this.thread.value = { ...this.thread.value, conversation };
    this.open(conversation.id);
    if (!this.closing) this.onCreated(conversation);
  }

  private open(id: string): void {
    this.id.value = id;
    this.state.value = "opening";
    this.restoreOutbox(id);
    const channel = this.socket.channel(`conversation:${id}`, () => this.joinPayload());
    channel.on("message", (event: MessageEvent) => this.onMessage(event));
    channel.on("turn_start", (event: TurnStart) => this.change(threads.started(this.thread.value, event)));
    channel.on("delta", (event: Delta) => this.grow(event.turn_id, (answer) => applyDelta(answer, event)));
    channel.on("tool", (event: ToolUpdate) => this.grow(event.turn_id, (answer) => applyTool(answer, event)));
    channel.on("approval", (event: Approval) => this.onApproval(event));
    channel.on("feedback", (event: FeedbackEvent) => this.change(threads.judged(this.thread.value, event)));
    channel.on("turn_end", (event: TurnEnd) => this.onTurnEnd(event));
    const presence = new Presence(channel);
    presence.onSync(() => {
      this.others.value = others(presence.list(personOf), this.person);
    });
    channel.onError(() => this.inFlight.clear());
    this.channel = channel;
    channel
      .join()
      .receive("ok", (reply: JoinReply) => this.onJoined(reply))
      .receive("error", (refusal: { code?: string } | null) => this.onRefused(channel, refusal?.code));
  }

  private joinPayload(): object {
    const since = threads.sinceOf(this.thread.value, (turnId) => this.writing.get(turnId)?.answer.seq ?? 0);
    return since === null ? { limit: PAGE } : { since, limit: PAGE };
  }

  private onJoined(reply: JoinReply): void {
    const open = new Set(reply.turns.map((turn) => turn.turn_id));
    for (const turnId of this.writing.keys()) {
      if (!open.has(turnId)) this.writing.delete(turnId);
      // Of a turn that waited, or waits, everything comes again.
      else if (!reply.recovered || this.thread.value.turns[turnId]?.status === "waiting") this.grow(turnId, () => EMPTY_ANSWER);
    }
    this.inFlight.clear();
    this.person = reply.person;
    this.change(threads.joined(this.thread.value, reply));
    this.state.value = "open";
    this.deliver();
  }

  private onRefused(channel: Channel, code: string | undefined): void {
    // Every other refusal is a server in trouble, and phoenix asks again.
    if (code !== "not_found") return;
    channel.leave();
    this.state.value = "missing";
  }

  // --- what the server says ----------------------------------------------------------------------------------------

  private onMessage({ cursor, ...message }: MessageEvent): void {
    const isNew = !this.thread.value.messages.some((known) => known.id === message.id);
    this.flush();
    this.change(threads.received(this.thread.value, message, cursor));
    if (isNew && message.role !== "user") announce(message.text);
  }

  private onApproval(event: Approval): void {
    this.change(threads.asked(this.thread.value, event));
    if (event.verdict === null) announce(`${event.name} needs your permission.`);
  }

  private onTurnEnd(event: TurnEnd): void {
    this.change(threads.ended(this.thread.value, event));
    this.writing.delete(event.turn_id);
    if (event.status === "interrupted") announce(event.reason ?? "The answer was interrupted.");
  }

  private write(turnId: string): Writing {
    let writing = this.writing.get(turnId);
    if (!writing) {
      writing = { answer: EMPTY_ANSWER, shown: signal(EMPTY_ANSWER) };
      this.writing.set(turnId, writing);
    }
    return writing;
  }

  private grow(turnId: string, change: (answer: LiveAnswer) => LiveAnswer): void {
    const writing = this.write(turnId);
    writing.answer = change(writing.answer);
    this.frame ||= requestAnimationFrame(() => this.flush());
  }

  private flush(): void {
    cancelAnimationFrame(this.frame);
    this.frame = 0;
    for (const writing of this.writing.values()) writing.shown.value = writing.answer;
  }

  // --- what this person says ---------------------------------------------------------------------------------------

  private deliver(): void {
    if (this.channel?.state !== "joined" || !this.socket.isConnected()) return;
    for (const entry of threads.unacknowledged(this.thread.value)) {
      if (!this.inFlight.has(entry.clientId)) void this.push(this.channel, entry);
    }
  }

  private async push(channel: Channel, { clientId, text, attachments }: Pending): Promise<void> {
    this.inFlight.add(clientId);
    const named = attachments.map(({ id, name }) => ({ id, name }));
    const message = { text: whole(text), client_id: clientId, ...(named.length > 0 && { attachments: named }) };
    const reply = replyTo<Accepted>(channel.push("message", message));
    const outcome = await reply.catch((error: Error) => error);
    this.inFlight.delete(clientId);
    if (outcome instanceof NoAnswer) this.deliver();
    else if (outcome instanceof Error) this.change(threads.failed(this.thread.value, clientId, outcome.message));
    else this.change(threads.acknowledged(this.thread.value, clientId, outcome));
    this.leaveWhenSent();
  }

  private leaveWhenSent(): void {
    if (this.closing && threads.unacknowledged(this.thread.value).length === 0) this.channel?.leave();
  }

  // --- keeping -----------------------------------------------------------------------------------------------------

  private change(thread: Thread): void {
    const outboxChanged = thread.pending !== this.thread.value.pending;
    this.thread.value = thread;
    if (outboxChanged && this.id.value !== null) this.storeOutbox(this.id.value);
  }

  private storeOutbox(id: string): void {
    const entries = threads.unacknowledged(this.thread.value);
    keepOutbox(id, entries.length > 0 ? JSON.stringify(entries) : null);
  }

  /** What this tab had not got through before it was reloaded. */
  private restoreOutbox(id: string): void {
    const stored = outboxOf(id);
    if (stored !== null) {
      for (const entry of JSON.parse(stored) as Pending[]) {
        this.thread.value = threads.sent(this.thread.value, { ...entry, attachments: entry.attachments ?? [] });
      }
    }
    this.storeOutbox(id);
  }
}

/** Half of a surrogate pair, such as a paste that was cut within an emoji, is no JSON: the server closes the socket on it. */
const whole = (text: string): string => text.replace(/\p{Surrogate}/gu, "\uFFFD");
