import { describe, expect, it } from "vitest";
import { briefly, duration, modelName, pretty } from "../src/format";
import { groupedByDay, listed, matching, removed, upserted } from "../src/state/conversations";
import { completions } from "../src/state/slash";
import type { Conversation } from "../src/wire";

function conversation(id: string, updated_at: string, title = id): Conversation {
  return { id, title, assistant: "guide", model: null, created_at: updated_at, updated_at };
}

const NOON = new Date(2026, 10, 21, 12);
const daysAgo = (days: number): string => new Date(2026, 10, 21 - days, 11).toISOString();

describe("the list of conversations", () => {
  const list = listed([conversation("a", daysAgo(2)), conversation("b", daysAgo(0)), conversation("c", daysAgo(1))]);

  it("is newest first, and one that is updated moves up without a double", () => {
    expect(list.map(({ id }) => id)).toEqual(["b", "c", "a"]);
    const later = upserted(list, conversation("a", new Date(2026, 10, 21, 11, 30).toISOString(), "New title"));
    expect(later.map(({ id }) => id)).toEqual(["a", "b", "c"]);
    expect(later[0]?.title).toBe("New title");
    expect(removed(later, "b").map(({ id }) => id)).toEqual(["a", "c"]);
  });

  it("is grouped by day", () => {
    const days = [0, 1, 3, 6, 7, 29, 30, 200].map((n) => conversation(`d${n}`, daysAgo(n)));
    const groups = groupedByDay(listed(days), NOON);
    expect(groups.slice(0, 4).map(({ label }) => label)).toEqual(["Today", "Yesterday", "Previous 7 days", "Previous 30 days"]);
    expect(groups.slice(0, 4).map(({ items }) => items.length)).toEqual([1, 1, 2, 2]);
    expect(groups).toHaveLength(6);
  });

  it("finds titles by all their words, in any order and case", () => {
    const titles = [conversation("1", "", "Trip to Lisbon"), conversation("2", "", "Lisbon weather")];
    expect(matching(titles, "lisbon TRIP").map(({ id }) => id)).toEqual(["1"]);
    expect(matching(titles, "  ")).toHaveLength(2);
  });
});

describe("completion", () => {
  const models = [
    { id: "demo:demo", provider: "demo", model: "demo", resting: null, exhausted: null },
    { id: "openai:gpt-5", provider: "openai", model: "gpt-5", resting: null, exhausted: null },
  ];

  it("offers commands while one is typed, and nothing in ordinary text", () => {
    expect(completions("/", models).map(({ label }) => label)).toEqual(["/help", "/model", "/reset", "/status", "/why"]);
    expect(completions("/re", models).map(({ text }) => text)).toEqual(["/reset"]);
    expect(completions("a /re", models)).toEqual([]);
    expect(completions("/reset now", models)).toEqual([]);
    expect(completions("", models)).toEqual([]);
  });

  it("offers models behind /model, until one is typed in full", () => {
    expect(completions("/model ", models).map(({ text }) => text)).toEqual(["/model demo:demo", "/model openai:gpt-5"]);
    expect(completions("/model GPT", models).map(({ text }) => text)).toEqual(["/model openai:gpt-5"]);
    expect(completions("/model openai:gpt-5", models)).toEqual([]);
  });
});

describe("numbers and words", () => {
  it("are what people read", () => {
    expect([0.2, 12, 999, 1234, 12_345, 75_000].map(duration)).toEqual(["1 ms", "12 ms", "999 ms", "1.2 s", "12 s", "1 min 15 s"]);
    expect(modelName("openai:gpt-5")).toBe("gpt-5");
    expect(modelName("demo")).toBe("demo");
  });

  it("survive arguments that are not JSON", () => {
    expect(pretty('{"a":1}')).toBe('{\n  "a": 1\n}');
    expect(pretty("{cut")).toBe("{cut");
    expect(briefly('{"expression":"1 + 1"}')).toBe("1 + 1");
    expect(briefly('{"a":1,"b":[2]}')).toBe("a: 1 · b: [2]");
    expect(briefly("{cut")).toBe("{cut");
    expect(briefly("7")).toBe("7");
  });
});
