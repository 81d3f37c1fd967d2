import { describe, expect, it } from "vitest";
import { inWords, initial, others, personOf } from "../src/state/people";

const at = (name: unknown, online_at: unknown = "2026-11-22T10:00:00Z") => ({ name, online_at });

describe("who else is here", () => {
  it("is everybody but oneself, by name, once each", () => {
    const found = { b: [at("Bea")], me: [at("Me"), at("Me")], a: [at("Ann", "2026-11-22T09:00:00Z"), at("Anna")] };
    const people = Object.entries(found).map(([id, metas]) => personOf(id, { metas }));
    expect(others(people, "me")).toEqual([
      { id: "a", name: "Anna" },
      { id: "b", name: "Bea" },
    ]);
  });

  it("is nobody whom a program shows without a name or a time", () => {
    for (const meta of [{}, at(7), at("  "), at("Robot", null)]) expect(personOf("x", { metas: [meta] })).toBeNull();
    expect(personOf("x", { metas: [] })).toBeNull();
  });

  it("is told in a few words", () => {
    expect(inWords([])).toBe("");
    expect(inWords(["Ann"])).toBe("Ann");
    expect(inWords(["Ann", "Bea"])).toBe("Ann and Bea");
    expect(inWords(["Ann", "Bea", "Cy"])).toBe("Ann, Bea and Cy");
    expect(inWords(["Ann", "Bea", "Cy", "Di", "Ed"])).toBe("Ann, Bea and 3 more");
  });

  it("begins with a letter that is whole", () => {
    expect(["ann", "émile", "𝒜da", ""].map(initial)).toEqual(["A", "É", "𝒜", ""]);
  });
});
