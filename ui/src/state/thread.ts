/**
 * One conversation as this client knows it, and what each event makes of it. Pure: no sockets, no clocks.
 *
 * What changes with every token lives apart, in `live.ts`, so that a token never touches this state.
 */

import type {
  Accepted,
  Approval,
  Attachment,
  Conversation,
  FeedbackEvent,
  HistoryReply,
  JoinReply,
  Message,
  Outcome,
  Since,
  TurnEnd,
  TurnInfo,
  TurnStart,
  Usage,
} from "../wire";

/** A message of this person that the server has not acknowledged yet. */
export interface Pending {
  clientId: string;
  text: string;
  attachments: Attachment[];
  at: string;
  state: "sending" | "failed";
  reason?: string;
  /** The stored message this turned into, once we know or suspect it; it is then shown instead of this one. */
  storedAs?: string;
  /** The server said that `storedAs` is this message. */
  acknowledged?: boolean;
}

export interface Ending {
  status: Outcome;
  usage: Usage | null;
  reason: string | null;
  elapsedMs: number | null;
}

/** Who answers a turn. Outlives the turn, so that the finished answer can be signed. */
export interface Voice {
  assistant: string | null;
  model: string | null;
}

export interface Thread {
  conversation: Conversation | null;
  /** Sorted by (ticket, position), one per id. */
  messages: readonly Message[];
  pending: readonly Pending[];
  turns: Readonly<Record<string, TurnInfo>>;
  voices: Readonly<Record<string, Voice>>;
  endings: Readonly<Record<string, Ending>>;
  /** What waits for this person's permission, oldest first. */
  approvals: readonly Approval[];
  cursor: string | null;
  /** Whether the server has older messages. */
  more: boolean;
  joined: boolean;
}

export const EMPTY_THREAD: Thread = {
  conversation: null,
  messages: [],
  pending: [],
  turns: {},
  voices: {},
  endings: {},
  approvals: [],
  cursor: null,
  more: false,
  joined: false,
};

function byTicket(a: Message, b: Message): number {
  return a.ticket - b.ticket || a.position - b.position;
}

/** Both lists as one: a message that arrives again replaces what was known of it. */
export function merge(known: readonly Message[], arrived: readonly Message[]): Message[] {
  const byId = new Map(known.map((message) => [message.id, message]));
  for (const message of arrived) byId.set(message.id, message);
  return [...byId.values()].sort(byTicket);
}

function firstPosition(messages: readonly Message[]): number {
  return messages.reduce((first, message) => Math.min(first, message.position), Infinity);
}

/** Drops pending messages that are acknowledged and here. */
function settle(thread: Thread): Thread {
  const ids = new Set(thread.messages.map((message) => message.id));
  const pending = thread.pending.filter((entry) => !(entry.acknowledged && ids.has(entry.storedAs ?? "")));
  return pending.length === thread.pending.length ? thread : { ...thread, pending };
}

function changePending(thread: Thread, clientId: string, change: Partial<Pending>): Thread {
  const pending = thread.pending.map((entry) => (entry.clientId === clientId ? { ...entry, ...change } : entry));
  return settle({ ...thread, pending });
}

function without<T>(record: Readonly<Record<string, T>>, key: string): Readonly<Record<string, T>> {
  if (!(key in record)) return record;
  const { [key]: _, ...rest } = record;
  return rest;
}

/** `recovered` adds what was missed; otherwise the reply is the newest page and what we had is dropped. */
export function joined(thread: Thread, reply: JoinReply): Thread {
  const turns = Object.fromEntries(reply.turns.map((turn) => [turn.turn_id, turn]));
  const voices = { ...thread.voices };
  for (const turn of reply.turns) voices[turn.turn_id] = { assistant: turn.assistant, model: turn.model };
  const messages = merge(reply.recovered ? thread.messages : [], reply.messages);
  return settle({
    ...thread,
    conversation: reply.conversation,
    messages,
    turns,
    voices,
    // Those that are open come right behind the reply.
    approvals: [],
    cursor: reply.cursor,
    // Positions are numbered from 1 without gaps.
    more: reply.recovered ? thread.more : messages.length > 0 && firstPosition(messages) > 1,
    joined: true,
  });
}

export function received(thread: Thread, message: Message, cursor: string | null): Thread {
  const isNew = !thread.messages.some((known) => known.id === message.id);
  let pending = thread.pending;
  if (isNew && message.role === "user" && !pending.some((entry) => entry.storedAs === message.id)) {
    // The broadcast may overtake the acknowledgement: show one message, not two, until it is certain.
    const same = pending.find((entry) => entry.state === "sending" && !entry.storedAs && entry.text === message.text);
    pending = pending.map((entry) => (entry === same ? { ...entry, storedAs: message.id } : entry));
  }
  const messages = merge(thread.messages, [message]);
  return settle({ ...thread, messages, pending, cursor: cursor ?? thread.cursor });
}

export function started(thread: Thread, event: TurnStart): Thread {
  const { turn_id, message_id, assistant, model } = event;
  const turn: TurnInfo = { turn_id, message_id, status: "running", assistant, model };
  return {
    ...thread,
    turns: { ...thread.turns, [turn_id]: turn },
    voices: { ...thread.voices, [turn_id]: { assistant, model } },
  };
}

export function ended(thread: Thread, event: TurnEnd): Thread {
  const ending: Ending = {
    status: event.status,
    usage: event.usage,
    reason: event.reason,
    elapsedMs: event.elapsed_ms,
  };
  const voice = thread.voices[event.turn_id];
  const model = event.model ?? voice?.model ?? null;
  return {
    ...thread,
    turns: without(thread.turns, event.turn_id),
    voices: { ...thread.voices, [event.turn_id]: { assistant: voice?.assistant ?? null, model } },
    endings: { ...thread.endings, [event.turn_id]: ending },
    approvals: thread.approvals.filter((open) => open.turn_id !== event.turn_id),
  };
}

/** A turn waits as long as one of its calls does, and runs again when the last one was answered. */
export function asked(thread: Thread, event: Approval): Thread {
  const others = thread.approvals.filter((known) => known.id !== event.id);
  const approvals = event.verdict === null ? [...others, event].sort((a, b) => (a.id < b.id ? -1 : 1)) : others;
  const turn = thread.turns[event.turn_id];
  if (!turn) return { ...thread, approvals };
  const status = approvals.some((open) => open.turn_id === event.turn_id) ? "waiting" : "running";
  return { ...thread, approvals, turns: { ...thread.turns, [event.turn_id]: { ...turn, status } } };
}

/** What is said of an answer now, here or in another tab. */
export function judged(thread: Thread, { message_id, feedback }: FeedbackEvent): Thread {
  const messages = thread.messages.map((known) => (known.id === message_id ? { ...known, feedback } : known));
  return { ...thread, messages };
}

export function prepended(thread: Thread, reply: HistoryReply): Thread {
  return { ...thread, messages: merge(reply.messages, thread.messages), more: reply.more };
}

export function sent(thread: Thread, entry: Pending): Thread {
  return { ...thread, pending: [...thread.pending.filter((other) => other.clientId !== entry.clientId), entry] };
}

export function acknowledged(thread: Thread, clientId: string, accepted: Accepted): Thread {
  return changePending(thread, clientId, { acknowledged: true, storedAs: accepted.message_id });
}

export function failed(thread: Thread, clientId: string, reason: string): Thread {
  return changePending(thread, clientId, { state: "failed", reason });
}

export function discarded(thread: Thread, clientId: string): Thread {
  return { ...thread, pending: thread.pending.filter((entry) => entry.clientId !== clientId) };
}

/** What to send again after a lost connection: the server drops what it has by `client_id`. */
export function unacknowledged(thread: Thread): Pending[] {
  return thread.pending.filter((entry) => entry.state === "sending" && !entry.acknowledged);
}

export function oldestPosition(thread: Thread): number | null {
  const first = firstPosition(thread.messages);
  return Number.isFinite(first) ? first : null;
}

export function runningTurn(thread: Thread): TurnInfo | null {
  return Object.values(thread.turns).find((turn) => turn.status === "running") ?? null;
}

/** Where to resume: inside the running turn when we have heard part of it, else behind the last message. */
export function sinceOf(thread: Thread, heard: (turnId: string) => number): Since | null {
  if (!thread.joined) return null;
  const turn = runningTurn(thread);
  const seq = turn ? heard(turn.turn_id) : 0;
  return turn && seq > 0 ? { turn_id: turn.turn_id, seq } : thread.cursor;
}
