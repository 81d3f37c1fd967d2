import { describe, expect, it } from "vitest";
import { later } from "../src/later";

const settled = (): Promise<unknown> => new Promise((resolve) => setTimeout(resolve));

describe("a part that comes later", () => {
  it("is asked for once, however many need it", async () => {
    let asked = 0;
    const { part, fetch } = later(async () => ++asked);
    expect(part.value).toBeNull();
    fetch();
    fetch();
    await settled();
    fetch();
    await settled();
    expect([part.value, asked]).toEqual([1, 1]);
  });

  it("is asked for again when it was cut off on the way", async () => {
    const answers = [Promise.reject(new Error("offline")), Promise.resolve("here")];
    const { part, fetch } = later(() => answers.shift() ?? Promise.reject(new Error("asked too often")));
    fetch();
    await settled();
    expect(part.value).toBeNull();
    fetch();
    await settled();
    expect(part.value).toBe("here");
  });

  it("may be a component, which is not called on the way", async () => {
    const View = (): never => {
      throw new Error("called");
    };
    const { part, fetch } = later(async () => View);
    fetch();
    await settled();
    expect(part.value).toBe(View);
  });
});
