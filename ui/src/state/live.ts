/** The answer that is being written: parts in the order in which they came into being. */

import type { Delta, Part, ToolPart, ToolUpdate } from "../wire";

export interface LiveAnswer {
  /** The highest sequence number taken in; anything at or below it is a repetition. */
  seq: number;
  parts: readonly Part[];
}

export const EMPTY_ANSWER: LiveAnswer = { seq: 0, parts: [] };

function append(parts: readonly Part[], type: "text" | "reasoning", text: string): readonly Part[] {
  const last = parts.at(-1);
  if (last?.type === type) return [...parts.slice(0, -1), { type, text: last.text + text }];
  return [...parts, { type, text }];
}

export function applyDelta(answer: LiveAnswer, delta: Delta): LiveAnswer {
  if (delta.seq <= answer.seq) return answer;
  let parts = answer.parts;
  if (delta.reasoning) parts = append(parts, "reasoning", delta.reasoning);
  if (delta.text) parts = append(parts, "text", delta.text);
  return { seq: delta.seq, parts };
}

export function applyTool(answer: LiveAnswer, update: ToolUpdate): LiveAnswer {
  if (update.seq <= answer.seq) return answer;
  const part: ToolPart = {
    type: "tool",
    call_id: update.call_id,
    name: update.name,
    arguments: update.arguments,
    status: update.status,
    result: update.result ?? null,
    elapsed_ms: update.elapsed_ms ?? null,
  };
  const at = answer.parts.findIndex((known) => known.type === "tool" && known.call_id === update.call_id);
  const parts = at < 0 ? [...answer.parts, part] : answer.parts.with(at, part);
  return { seq: update.seq, parts };
}
