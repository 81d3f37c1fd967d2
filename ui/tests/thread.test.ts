import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { EMPTY_ANSWER, applyDelta, applyTool } from "../src/state/live";
import type { LiveAnswer } from "../src/state/live";
import { rowsOf } from "../src/state/rows";
import * as threads from "../src/state/thread";
import type { Thread } from "../src/state/thread";
import type { Delta, JoinReply, Message, ToolUpdate, TurnEnd } from "../src/wire";

const CONVERSATION = { id: "c", title: "T", assistant: "guide", model: null, created_at: "", updated_at: "" };

function message(position: number, change: Partial<Message> = {}): Message {
  return {
    id: `m${position}`,
    conversation_id: "c",
    role: "user",
    text: `text ${position}`,
    parts: [],
    attachments: [],
    person: null,
    turn_id: `t${position}`,
    status: "accepted",
    created_at: "2026-11-21T10:00:00Z",
    position,
    ticket: position,
    assistant: null,
    model: null,
    usage: null,
    elapsed_ms: null,
    feedback: null,
    ...change,
  };
}

function answerTo(question: Message, position: number, change: Partial<Message> = {}): Message {
  return message(position, { role: "assistant", ticket: question.ticket, turn_id: question.turn_id, status: "answered", ...change });
}

function reply(messages: Message[], change: Partial<JoinReply> = {}): JoinReply {
  return { conversation: CONVERSATION, members: [], person: "p", messages, turns: [], cursor: "9", recovered: false, ...change };
}

function running(question: Message) {
  return { turn_id: question.turn_id, message_id: question.id, status: "running" as const, assistant: "guide", model: "demo" };
}

function end(turnId: string, change: Partial<TurnEnd> = {}): TurnEnd {
  return { turn_id: turnId, message_id: null, status: "answered", usage: null, model: null, reason: null, elapsed_ms: 5, ...change };
}

const joined = (messages: Message[], change: Partial<JoinReply> = {}): Thread =>
  threads.joined(threads.EMPTY_THREAD, reply(messages, change));

const ids = (thread: Thread): string[] => thread.messages.map(({ id }) => id);

describe("a growing answer", () => {
  const deltas: Delta[] = ["a", "b", "c", "d"].map((text, index) => ({ turn_id: "t", seq: index + 1, text }));
  const textOf = (answer: LiveAnswer): string => answer.parts.map((part) => (part.type === "text" ? part.text : "")).join("");

  it("drops what it has already", () => {
    const twice = [...deltas, ...deltas].reduce(applyDelta, EMPTY_ANSWER);
    expect(textOf(twice)).toBe("abcd");
  });

  it("never repeats or reorders, whatever is doubled, late or missing", () => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...deltas), { maxLength: 20 }), (arrived) => {
        const text = textOf(arrived.reduce(applyDelta, EMPTY_ANSWER));
        expect([...text]).toEqual([...new Set(text)].sort());
      }),
    );
  });

  it("takes the rest after a lost connection as one delta", () => {
    const before = deltas.slice(0, 2).reduce(applyDelta, EMPTY_ANSWER);
    expect(textOf(applyDelta(before, { turn_id: "t", seq: 4, text: "cd" }))).toBe("abcd");
  });

  it("keeps parts in the order in which they came, and a tool in its last state", () => {
    const tool: ToolUpdate = { turn_id: "t", seq: 3, call_id: "x", name: "clock", arguments: "{}", status: "running" };
    let answer = applyDelta(EMPTY_ANSWER, { turn_id: "t", seq: 1, reasoning: "hm" });
    answer = applyDelta(answer, { turn_id: "t", seq: 2, text: "Let me look." });
    answer = applyTool(answer, tool);
    answer = applyDelta(answer, { turn_id: "t", seq: 4, text: "Noon." });
    answer = applyTool(answer, { ...tool, seq: 5, status: "done", result: "12:00", elapsed_ms: 3 });
    answer = applyTool(answer, { ...tool, seq: 3, status: "running" });
    expect(answer.parts.map((part) => part.type)).toEqual(["reasoning", "text", "tool", "text"]);
    expect(answer.parts[2]).toMatchObject({ status: "done", result: "12:00" });
  });

  it("does not copy what it does not touch", () => {
    const one = applyDelta(EMPTY_ANSWER, { turn_id: "t", seq: 1, reasoning: "hm" });
    const two = applyDelta(one, { turn_id: "t", seq: 2, text: "x" });
    expect(two.parts[0]).toBe(one.parts[0]);
  });
});

describe("messages", () => {
  it("arrive in any order, any number of times, and end as one sorted list", () => {
    const question = message(1);
    const all = [question, answerTo(question, 3), message(2), answerTo(message(2), 4)];
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...all), { maxLength: 20 }), (arrived) => {
        const thread = [...arrived, ...all].reduce((known, next) => threads.received(known, next, "1"), joined([]));
        expect(ids(thread)).toEqual(["m1", "m3", "m2", "m4"]);
      }),
    );
  });

  it("replace an earlier status of themselves", () => {
    const thread = threads.received(joined([message(1)]), message(1, { status: "answered" }), "1");
    expect(thread.messages).toHaveLength(1);
    expect(thread.messages[0]?.status).toBe("answered");
  });

  it("from the past go before the rest", () => {
    const thread = threads.prepended(joined([message(8), message(9)]), { messages: [message(6), message(7)], more: true });
    expect(ids(thread)).toEqual(["m6", "m7", "m8", "m9"]);
    expect(thread.more).toBe(true);
  });

  it("know from the first join whether there are earlier ones", () => {
    expect(joined([message(1)]).more).toBe(false);
    expect(joined([message(7)]).more).toBe(true);
    expect(joined([]).more).toBe(false);
  });
});

describe("joining again", () => {
  const question = message(1);

  it("adds what was missed when the server recovered", () => {
    const thread = threads.joined(joined([message(1), message(2)]), reply([message(2), message(3)], { recovered: true }));
    expect(ids(thread)).toEqual(["m1", "m2", "m3"]);
  });

  it("drops what it had when the server could not", () => {
    const thread = threads.joined(joined([message(1), message(2)]), reply([message(40)]));
    expect(ids(thread)).toEqual(["m40"]);
    expect(thread.more).toBe(true);
  });

  it("forgets turns that ended meanwhile and learns of those that began", () => {
    const before = joined([question], { turns: [running(question)] });
    const after = threads.joined(before, reply([answerTo(question, 2)], { recovered: true, turns: [running(message(3))] }));
    expect(Object.keys(after.turns)).toEqual(["t3"]);
    expect(after.voices["t1"]).toEqual({ assistant: "guide", model: "demo" });
  });

  it("asks from inside the running turn, else from behind the last message", () => {
    expect(threads.sinceOf(threads.EMPTY_THREAD, () => 7)).toBeNull();
    expect(threads.sinceOf(joined([question], { cursor: "5" }), () => 7)).toBe("5");
    const thread = joined([question], { cursor: "5", turns: [running(question)] });
    expect(threads.sinceOf(thread, () => 7)).toEqual({ turn_id: "t1", seq: 7 });
    expect(threads.sinceOf(thread, () => 0)).toBe("5");
  });
});

describe("what this person sends", () => {
  const entry = { clientId: "k", text: "text 1", attachments: [], at: "", state: "sending" as const };
  const sending = threads.sent(joined([]), entry);
  const keys = (thread: Thread): string[] => rowsOf(thread).map(({ key }) => key);

  it("is shown at once", () => {
    expect(keys(sending)).toEqual(["pending:k"]);
    expect(threads.unacknowledged(sending)).toHaveLength(1);
  });

  it("is shown once, whichever comes first: the acknowledgement or the message", () => {
    const accepted = { message_id: "m1", turn_id: "t1" };
    const ackFirst = threads.acknowledged(sending, "k", accepted);
    expect(keys(ackFirst)).toEqual(["pending:k"]);
    expect(keys(threads.received(ackFirst, message(1), "1"))).toEqual(["m1"]);
    const messageFirst = threads.received(sending, message(1), "1");
    expect(keys(messageFirst)).toEqual(["m1"]);
    expect(threads.acknowledged(messageFirst, "k", accepted).pending).toEqual([]);
  });

  it("stays to be sent again until it is acknowledged, even when it seems to have arrived", () => {
    expect(threads.unacknowledged(threads.received(sending, message(1), "1"))).toHaveLength(1);
  });

  it("does not vanish behind the same words of somebody else", () => {
    let thread = threads.received(sending, message(1, { person: "other" }), "1");
    thread = threads.acknowledged(thread, "k", { message_id: "m2", turn_id: "t2" });
    expect(keys(thread)).toEqual(["m1", "pending:k"]);
    expect(keys(threads.received(thread, message(2, { text: "text 1" }), "2"))).toEqual(["m1", "m2"]);
  });

  it("says why it was refused, and can be sent again or dropped", () => {
    const refused = threads.failed(sending, "k", "Too long.");
    expect(rowsOf(refused)[0]).toMatchObject({ kind: "pending", entry: { state: "failed", reason: "Too long." } });
    expect(threads.unacknowledged(refused)).toEqual([]);
    expect(threads.unacknowledged(threads.sent(refused, entry))).toHaveLength(1);
    expect(threads.discarded(refused, "k").pending).toEqual([]);
  });

  it("survives a join that replaces everything", () => {
    expect(keys(threads.joined(sending, reply([message(4)])))).toEqual(["m4", "pending:k"]);
  });
});

describe("rows", () => {
  const first = message(1);
  const second = message(2);

  it("put the running answer behind its question and mark the next one queued", () => {
    const queued = { ...running(second), status: "queued" as const };
    const rows = rowsOf(joined([first, second], { turns: [running(first), queued] }));
    expect(rows.map(({ key }) => key)).toEqual(["m1", "turn:t1", "m2"]);
    expect(rows[1]).toMatchObject({ live: true });
    expect(rows[2]).toMatchObject({ queued: true });
  });

  it("keep the element of an answer when it is finished", () => {
    const before = joined([first], { turns: [running(first)] });
    const done = threads.ended(threads.received(before, answerTo(first, 2), "2"), end("t1", { elapsed_ms: 1200 }));
    expect(rowsOf(before).at(-1)?.key).toBe("turn:t1");
    expect(rowsOf(done).at(-1)).toMatchObject({ key: "turn:t1", live: false, voice: { model: "demo" }, ending: { elapsedMs: 1200 } });
  });

  it("show no second answer between the message and the end of its turn", () => {
    const between = threads.received(joined([first], { turns: [running(first)] }), answerTo(first, 2), "2");
    expect(rowsOf(between).map(({ key }) => key)).toEqual(["m1", "turn:t1"]);
  });

  it("tell why a turn left no answer", () => {
    const thread = threads.ended(joined([first]), end("t1", { status: "refused", reason: "Too many requests." }));
    expect(rowsOf(thread)[0]).toMatchObject({ note: "Too many requests." });
  });

  it("show a running turn whose question is not on this page", () => {
    expect(rowsOf(joined([], { turns: [running(first)] })).map(({ key }) => key)).toEqual(["turn:t1"]);
  });

  it("give every row a key of its own", () => {
    const thread = joined([first, answerTo(first, 3), answerTo(first, 4), second]);
    const keys = rowsOf(thread).map(({ key }) => key);
    expect(new Set(keys).size).toBe(keys.length);
  });
});

describe("a call that must be allowed", () => {
  const open = (id: string, verdict: "approved" | null = null) => ({
    id,
    turn_id: "t1",
    call_id: id,
    name: "pay",
    arguments: "{}",
    expires_at: "2026-11-22T10:00:00Z",
    verdict,
  });
  const question = message(1);
  const running = threads.started(threads.received(threads.EMPTY_THREAD, question, "1"), {
    turn_id: "t1",
    message_id: question.id,
    assistant: "guide",
    model: "demo",
  });

  it("lets the turn wait until the last one is answered", () => {
    const both = threads.asked(threads.asked(running, open("b")), open("a"));
    expect(both.approvals.map(({ id }) => id)).toEqual(["a", "b"]);
    expect(both.turns["t1"]?.status).toBe("waiting");
    expect(rowsOf(both).map(({ kind }) => kind)).toEqual(["question", "answer"]);
    expect(threads.runningTurn(both)).toBeNull();
    const one = threads.asked(both, open("a", "approved"));
    expect(one.turns["t1"]?.status).toBe("waiting");
    const none = threads.asked(one, open("b", "approved"));
    expect([none.approvals, none.turns["t1"]?.status]).toEqual([[], "running"]);
  });

  it("is gone with its turn, and comes again behind a join", () => {
    const waiting = threads.asked(running, open("a"));
    const end: TurnEnd = { turn_id: "t1", message_id: null, status: "interrupted", usage: null, model: null, reason: null, elapsed_ms: null };
    expect(threads.ended(waiting, end).approvals).toEqual([]);
    expect(threads.joined(waiting, reply([question])).approvals).toEqual([]);
  });
});

describe("what is said of an answer", () => {
  const question = message(1);
  const first = joined([question, answerTo(question, 2)]);
  const feedback = { verdict: "up" as const, comment: null, given_at: "2026-11-21T10:00:00Z" };

  it("replaces what was said before, and can be taken back", () => {
    const up = threads.judged(first, { message_id: "m2", feedback });
    expect(up.messages.map((known) => known.feedback)).toEqual([null, feedback]);
    const down = threads.judged(up, { message_id: "m2", feedback: { ...feedback, verdict: "down" } });
    expect(down.messages[1]?.feedback?.verdict).toBe("down");
    expect(threads.judged(down, { message_id: "m2", feedback: null }).messages[1]?.feedback).toBeNull();
  });

  it("changes nothing where the answer is not on this page", () => {
    expect(threads.judged(first, { message_id: "m9", feedback }).messages).toEqual(first.messages);
  });
});
