import type { Socket } from "phoenix";
import { beforeEach, describe, expect, it } from "vitest";
import { Session } from "../src/session";
import { rowsOf } from "../src/state/rows";
import type { JoinReply, Message } from "../src/wire";

type Answer = (response?: unknown) => void;

class Push {
  private readonly answers = new Map<string, Answer>();

  constructor(
    readonly event: string,
    readonly payload: Record<string, unknown>,
  ) {}

  receive(status: string, answer: Answer): this {
    this.answers.set(status, answer);
    return this;
  }

  async reply(status: "ok" | "error" | "timeout", response?: unknown): Promise<void> {
    this.answers.get(status)?.(response);
    await new Promise((resolve) => setTimeout(resolve));
  }
}

/** phoenix's channel without a network: a test says what the server says. */
class Wire {
  state = "joining";
  left = false;
  readonly pushes: Push[] = [];
  readonly joining = new Push("phx_join", {});
  private readonly handlers = new Map<string, (payload: never) => void>();
  private onLost: () => void = () => undefined;

  constructor(
    readonly topic: string,
    private readonly params: object | (() => object),
  ) {}

  get joinPayload(): Record<string, unknown> {
    return (typeof this.params === "function" ? (this.params as () => object)() : this.params) as Record<string, unknown>;
  }

  join(): Push {
    return this.joining;
  }

  leave(): void {
    this.left = true;
  }

  on(event: string, handler: (payload: never) => void): void {
    this.handlers.set(event, handler);
  }

  onError(handler: () => void): void {
    this.onLost = handler;
  }

  push(event: string, payload: Record<string, unknown>): Push {
    const push = new Push(event, payload);
    this.pushes.push(push);
    return push;
  }

  says(event: string, payload: object): void {
    this.handlers.get(event)?.(payload as never);
  }

  lose(): void {
    this.state = "errored";
    this.onLost();
  }

  async accept(change: Partial<JoinReply> = {}): Promise<void> {
    this.state = "joined";
    const reply = { conversation: CONVERSATION, members: [], person: "p", messages: [], turns: [], cursor: "0", recovered: false };
    await this.joining.reply("ok", { ...reply, ...change });
  }
}

class Wires {
  readonly channels: Wire[] = [];

  channel(topic: string, params: object): Wire {
    const wire = new Wire(topic, params);
    this.channels.push(wire);
    return wire;
  }

  isConnected(): boolean {
    return true;
  }
}

const CONVERSATION = { id: "c", title: "T", assistant: "guide", model: null, created_at: "", updated_at: "" };
const TURN = { turn_id: "t1", message_id: "m1", status: "running" as const, assistant: "guide", model: "demo" };
const QUESTION: Message = {
  id: "m1",
  conversation_id: "c",
  role: "user",
  text: "hi",
  parts: [],
  attachments: [],
  person: "p",
  turn_id: "t1",
  status: "accepted",
  created_at: "2026-11-21T10:00:00Z",
  position: 1,
  assistant: null, model: null, usage: null, elapsed_ms: null, feedback: null, ticket: 1,
};

function opened(id: string | null = "c") {
  const wires = new Wires();
  const created: string[] = [];
  const session = new Session(wires as unknown as Socket, id, (conversation) => created.push(conversation.id));
  return { wires, created, session };
}

function wireOf(wires: Wires, at = 0): Wire {
  const wire = wires.channels[at];
  if (!wire) throw new Error("no such channel was opened");
  return wire;
}

const frame = (): Promise<unknown> => new Promise((resolve) => requestAnimationFrame(resolve));

beforeEach(() => sessionStorage.clear());

describe("sending", () => {
  it("sends no half of a character, which would close the socket again and again", async () => {
    const { wires, session } = opened();
    const wire = wireOf(wires);
    await wire.accept();
    session.send("half \ud83d, whole \ud83d\ude00");
    expect(wire.pushes[0]?.payload["text"]).toBe("half \ufffd, whole \ud83d\ude00");
  });

  it("repeats under the same client_id after a lost connection, until it is acknowledged", async () => {
    const { wires, session } = opened();
    const wire = wireOf(wires);
    await wire.accept();
    session.send("hi");
    expect(wire.pushes).toHaveLength(1);

    wire.lose();
    await wire.pushes[0]?.reply("timeout");
    expect(wire.pushes).toHaveLength(1);
    await wire.accept();
    expect(wire.pushes.map((push) => push.payload["text"])).toEqual(["hi", "hi"]);
    expect(wire.pushes[1]?.payload["client_id"]).toBe(wire.pushes[0]?.payload["client_id"]);

    await wire.pushes[1]?.reply("ok", { message_id: "m1", turn_id: "t1" });
    wire.says("message", { ...QUESTION, cursor: "1" });
    await wire.accept({ messages: [QUESTION] });
    expect(wire.pushes).toHaveLength(2);
    expect(rowsOf(session.thread.value).map(({ key }) => key)).toEqual(["m1"]);
  });

  it("shows why a message was refused and does not repeat it", async () => {
    const { wires, session } = opened();
    const wire = wireOf(wires);
    await wire.accept();
    session.send("hi");
    await wire.pushes[0]?.reply("error", { reason: "Too long." });
    await wire.accept();
    expect(wire.pushes).toHaveLength(1);
    expect(session.thread.value.pending[0]).toMatchObject({ state: "failed", reason: "Too long." });
  });

  it("outlives a reload of the page", async () => {
    const before = opened();
    before.session.send("typed while offline");
    const after = opened();
    await wireOf(after.wires).accept();
    expect(wireOf(after.wires).pushes[0]?.payload["text"]).toBe("typed while offline");
  });

  it("creates the conversation first, once, and takes everything typed meanwhile along", async () => {
    const { wires, session, created } = opened(null);
    session.send("one");
    session.send("two");
    expect(wires.channels.map(({ topic }) => topic)).toEqual(["conversation:new"]);
    await wireOf(wires).joining.reply("ok", { conversation: CONVERSATION });
    expect(wireOf(wires).left).toBe(true);
    expect(created).toEqual(["c"]);
    await wireOf(wires, 1).accept();
    expect(wireOf(wires, 1).pushes.map((push) => push.payload["text"])).toEqual(["one", "two"]);
  });

  it("leaves a conversation only when everything typed into it has arrived", async () => {
    const { wires, session } = opened();
    const wire = wireOf(wires);
    await wire.accept();
    session.send("hi");
    session.close();
    expect(wire.left).toBe(false);
    await wire.pushes[0]?.reply("ok", { message_id: "m1", turn_id: "t1" });
    expect(wire.left).toBe(true);
  });
});

describe("a lost connection in the middle of an answer", () => {
  async function writing() {
    const { wires, session } = opened();
    const wire = wireOf(wires);
    await wire.accept({ messages: [QUESTION], turns: [TURN], cursor: "1" });
    wire.says("delta", { turn_id: "t1", seq: 1, text: "Hello" });
    wire.says("delta", { turn_id: "t1", seq: 2, text: " wor" });
    await frame();
    wire.lose();
    return { wire, session };
  }

  it("resumes from the last token", async () => {
    const { wire, session } = await writing();
    expect(wire.joinPayload["since"]).toEqual({ turn_id: "t1", seq: 2 });
    await wire.accept({ recovered: true, turns: [TURN] });
    wire.says("delta", { turn_id: "t1", seq: 5, text: "ld." });
    await frame();
    expect(session.answer("t1").value.parts).toEqual([{ type: "text", text: "Hello world." }]);
  });

  it("starts over when the server cannot resume", async () => {
    const { wire, session } = await writing();
    await wire.accept({ messages: [QUESTION], turns: [TURN], recovered: false });
    wire.says("delta", { turn_id: "t1", seq: 5, text: "Hello world." });
    await frame();
    expect(session.answer("t1").value.parts).toEqual([{ type: "text", text: "Hello world." }]);
  });

  it("takes the finished answer when the turn ended meanwhile", async () => {
    const { wire, session } = await writing();
    const answer: Message = { ...QUESTION, id: "m2", role: "assistant", text: "Hello world.", position: 2, status: "answered" };
    await wire.accept({ messages: [answer], turns: [], recovered: true, cursor: "2" });
    expect(rowsOf(session.thread.value).map(({ key }) => key)).toEqual(["m1", "turn:t1"]);
    expect(wire.joinPayload["since"]).toBe("2");
  });
});

describe("joining", () => {
  it("says so when the conversation does not exist, and stops asking", async () => {
    const { wires, session } = opened();
    await wireOf(wires).joining.reply("error", { reason: "This conversation does not exist.", code: "not_found" });
    expect(session.state.value).toBe("missing");
    expect(wireOf(wires).left).toBe(true);
  });

  it("goes on trying when the server refuses for a while", async () => {
    const { wires, session } = opened();
    await wireOf(wires).accept();
    await wireOf(wires).joining.reply("error", { reason: "The server is starting.", code: "service" });
    expect(session.state.value).toBe("open");
    expect(wireOf(wires).left).toBe(false);
  });

  it("shows at most one change of an answer in a frame", async () => {
    const { wires, session } = opened();
    const wire = wireOf(wires);
    await wire.accept({ messages: [QUESTION], turns: [TURN] });
    let changes = -1;
    const stop = session.answer("t1").subscribe(() => changes++);
    for (let seq = 1; seq <= 50; seq++) wire.says("delta", { turn_id: "t1", seq, text: "x" });
    await frame();
    expect(changes).toBe(1);
    stop();
  });
});
