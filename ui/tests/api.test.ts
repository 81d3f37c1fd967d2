import { afterEach, describe, expect, it, vi } from "vitest";
import { deleteConversation } from "../src/api";

afterEach(() => vi.unstubAllGlobals());

describe("what the server would not do", () => {
  const answers = (response: () => Promise<Response>): void => {
    vi.stubGlobal("fetch", response);
  };

  it("is told in its own words", async () => {
    answers(async () => Response.json({ title: "Not found", detail: "This conversation does not exist." }, { status: 404 }));
    await expect(deleteConversation("c")).rejects.toThrow("This conversation does not exist.");
  });

  it("is told as a status when a proxy answered instead", async () => {
    answers(async () => new Response("<h1>Bad gateway</h1>", { status: 502 }));
    await expect(deleteConversation("c")).rejects.toThrow("The server answered 502.");
  });

  it("is told in a sentence when nobody answered", async () => {
    answers(() => Promise.reject(new TypeError("Failed to fetch")));
    await expect(deleteConversation("c")).rejects.toThrow("The server did not answer.");
  });
});
