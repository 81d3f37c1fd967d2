/** What a conversation shows, from top to bottom. */

import type { Message, TurnInfo } from "../wire";
import type { Ending, Pending, Thread, Voice } from "./thread";

export interface QuestionRow {
  kind: "question";
  key: string;
  message: Message;
  /** Accepted, and waiting for another turn to end. */
  queued: boolean;
  /** Why nothing was answered. */
  note: string | null;
}

export interface HouseRow {
  kind: "house";
  key: string;
  message: Message;
}

/** An answer, from its first token (no message yet) to long after it was stored. */
export interface AnswerRow {
  kind: "answer";
  key: string;
  turnId: string;
  message: Message | null;
  live: boolean;
  voice: Voice | null;
  ending: Ending | null;
}

export interface PendingRow {
  kind: "pending";
  key: string;
  entry: Pending;
}

export interface DayRow {
  kind: "day";
  key: string;
  at: string;
}

export type Row = QuestionRow | HouseRow | AnswerRow | PendingRow | DayRow;

function answerRow(thread: Thread, turnId: string, message: Message | null, key: string): AnswerRow {
  return {
    kind: "answer",
    key,
    turnId,
    message,
    live: message === null && turnId in thread.turns,
    voice: thread.voices[turnId] ?? null,
    ending: thread.endings[turnId] ?? null,
  };
}

function questionRow(thread: Thread, message: Message, busy: boolean, stored: Set<string>): QuestionRow {
  const turn = thread.turns[message.turn_id];
  const ending = thread.endings[message.turn_id];
  const waiting = turn ? turn.status === "queued" : message.status === "accepted" && !ending;
  const outcome = ending?.status ?? message.status;
  let note: string | null = null;
  if (!stored.has(message.turn_id) && outcome === "interrupted") note = ending?.reason ?? "Interrupted before an answer.";
  if (!stored.has(message.turn_id) && outcome === "refused") note = ending?.reason ?? "Not answered.";
  if (outcome === "merged") note = "Taken into the answer that was being written.";
  return { kind: "question", key: message.id, message, queued: waiting && busy, note };
}

function spokenRow(thread: Thread, message: Message, answered: Set<string>): Row {
  if (message.role === "system") return { kind: "house", key: message.id, message };
  // The first answer of a turn keeps the key it had while it was being written: its element stays.
  const key = answered.has(message.turn_id) ? message.id : `turn:${message.turn_id}`;
  answered.add(message.turn_id);
  return answerRow(thread, message.turn_id, message, key);
}

/** The turn of this question whose answer has no message yet: running, or ended with nothing to keep. */
function openTurn(thread: Thread, message: Message, stored: Set<string>): TurnInfo | null {
  if (message.role !== "user" || stored.has(message.turn_id)) return null;
  const turn = thread.turns[message.turn_id];
  return turn && isBegun(turn) ? turn : null;
}

/** It has said something, or is about to; one that waits for a person goes on later. */
function isBegun(turn: TurnInfo): boolean {
  return turn.status !== "queued";
}

function sameDay(a: string, b: string): boolean {
  return new Date(a).toDateString() === new Date(b).toDateString();
}

export function rowsOf(thread: Thread): Row[] {
  const stored = new Set(thread.messages.filter((message) => message.role !== "user").map((message) => message.turn_id));
  const answered = new Set<string>();
  const shown = new Set<string>();
  const busy = Object.values(thread.turns).some((turn) => turn.status === "running");
  const rows: Row[] = [];
  let day: string | null = null;
  for (const message of thread.messages) {
    if (day === null || !sameDay(day, message.created_at)) {
      if (day !== null) rows.push({ kind: "day", key: `day:${message.id}`, at: message.created_at });
      day = message.created_at;
    }
    const isQuestion = message.role === "user";
    rows.push(isQuestion ? questionRow(thread, message, busy, stored) : spokenRow(thread, message, answered));
    const turn = openTurn(thread, message, stored);
    if (turn && !shown.has(turn.turn_id)) {
      shown.add(turn.turn_id);
      rows.push(answerRow(thread, turn.turn_id, null, `turn:${turn.turn_id}`));
    }
  }
  for (const turn of Object.values(thread.turns)) {
    if (!isBegun(turn) || shown.has(turn.turn_id) || stored.has(turn.turn_id)) continue;
    rows.push(answerRow(thread, turn.turn_id, null, `turn:${turn.turn_id}`));
  }
  const known = new Set(thread.messages.map((message) => message.id));
  for (const entry of thread.pending) {
    if (entry.state === "failed" || !entry.storedAs || !known.has(entry.storedAs)) {
      rows.push({ kind: "pending", key: `pending:${entry.clientId}`, entry });
    }
  }
  return rows;
}
