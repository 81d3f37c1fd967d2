/** The shapes that cross the socket and the REST API: docs/reference describes them, the server owns them. */

export type Role = "user" | "assistant" | "system";
export type Outcome = "answered" | "merged" | "refused" | "interrupted";
export type ToolStatus = "running" | "done" | "failed" | "cancelled";

export interface Conversation {
  id: string;
  title: string;
  assistant: string;
  model: string | null;
  created_at: string;
  updated_at: string;
}

export interface TextPart {
  type: "text";
  text: string;
}

export interface ReasoningPart {
  type: "reasoning";
  text: string;
}

export interface ToolPart {
  type: "tool";
  call_id: string;
  name: string;
  arguments: string;
  status: ToolStatus;
  result: string | null;
  elapsed_ms: number | null;
}

export interface NoticePart {
  type: "notice";
  code: string;
  text: string;
}

/** A call that a person must allow first; `verdict` is null while nobody has answered. */
export interface Approval {
  id: string;
  turn_id: string;
  call_id: string;
  name: string;
  arguments: string;
  expires_at: string;
  verdict: "approved" | "denied" | "expired" | null;
}

export type Part = TextPart | ReasoningPart | ToolPart | NoticePart;

/** A file that a message names; `id` is null for one that stays where it came from. */
export interface Attachment {
  id: string | null;
  name: string;
  media_type: string;
  size: number;
  url: string | null;
}

export type Verdict = "up" | "down";

/** What the person of a conversation says of an answer. */
export interface Feedback {
  verdict: Verdict;
  comment: string | null;
  given_at: string;
}

/** `feedback` is null when it was taken back. */
export interface FeedbackEvent {
  message_id: string;
  feedback: Feedback | null;
}

export interface Message {
  id: string;
  conversation_id: string;
  role: Role;
  text: string;
  parts: Part[];
  attachments: Attachment[];
  person: string | null;
  turn_id: string;
  status: "accepted" | "waiting" | Outcome;
  created_at: string;
  position: number;
  ticket: number;
  /** How an answer was made; null for other messages and while its turn has not ended. */
  assistant: string | null;
  model: string | null;
  usage: Usage | null;
  elapsed_ms: number | null;
  feedback: Feedback | null;
}

export interface TurnInfo {
  turn_id: string;
  message_id: string;
  status: "queued" | "running" | "waiting";
  assistant: string | null;
  model: string | null;
}

export interface JoinReply {
  conversation: Conversation;
  members: { id: string; name: string }[];
  /** Who this page speaks for. */
  person: string;
  messages: Message[];
  turns: TurnInfo[];
  cursor: string;
  recovered: boolean;
}

/** Where a client was when it lost the connection: a cursor, or a place inside a running turn. */
export type Since = string | { turn_id: string; seq: number };

export interface TurnStart {
  turn_id: string;
  message_id: string;
  assistant: string | null;
  model: string | null;
  chosen_by?: string | null;
}

export interface Delta {
  turn_id: string;
  seq: number;
  text?: string | null;
  reasoning?: string | null;
}

export interface ToolUpdate {
  turn_id: string;
  seq: number;
  call_id: string;
  name: string;
  arguments: string;
  status: ToolStatus;
  result?: string | null;
  elapsed_ms?: number | null;
}

export interface Usage {
  input_tokens: number;
  output_tokens: number;
  cached_tokens: number;
  reasoning_tokens: number;
  cost: number | null;
  estimated: boolean;
}

export interface TurnEnd {
  turn_id: string;
  message_id: string | null;
  status: Outcome;
  usage: Usage | null;
  model: string | null;
  reason: string | null;
  elapsed_ms: number | null;
}

export interface MessageEvent extends Message {
  cursor: string;
}

export interface Accepted {
  message_id: string;
  turn_id: string;
}

export interface HistoryReply {
  messages: Message[];
  more: boolean;
}

export interface AssistantInfo {
  name: string;
  description: string;
  model: string | null;
  tools: string[];
}

export interface ModelInfo {
  id: string;
  provider: string;
  model: string;
  /** Seconds for which its provider is left alone because it keeps failing. */
  resting: number | null;
  exhausted: number | null;
}

export interface ModelList {
  default: string | null;
  items: ModelInfo[];
}
