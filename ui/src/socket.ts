/** The one socket of the page, and whether it is open. */

import { signal } from "@preact/signals";
import { Socket } from "phoenix";
import type { Channel, Push } from "phoenix";

export type Connection = "connecting" | "open" | "lost";

/** `lost` is said only of a connection that stays away long enough to be worth mentioning. */
export const connection = signal<Connection>("connecting");

const WORTH_MENTIONING_MS = 700;
const RETRY_MS = [200, 400, 800, 1500, 3000, 5000];

function backoff(tries: number): number {
  const base = RETRY_MS[tries - 1] ?? 8000;
  // Spread out: after a restart of the server every page comes back at once.
  return base * (0.75 + Math.random() / 2);
}

export function connect(): Socket {
  const socket = new Socket("/socket", { reconnectAfterMs: backoff, rejoinAfterMs: backoff, heartbeatIntervalMs: 20_000 });
  let mention: ReturnType<typeof setTimeout> | undefined;
  socket.onOpen(() => {
    clearTimeout(mention);
    mention = undefined;
    connection.value = "open";
  });
  const lost = (): void => {
    mention ??= setTimeout(() => (connection.value = "lost"), WORTH_MENTIONING_MS);
  };
  socket.onClose(lost);
  socket.onError(lost);
  socket.connect();
  return socket;
}

/** What the server said against it, as a sentence. */
export class Refusal extends Error {}

/** Nobody answered in time: the connection may be gone. */
export class NoAnswer extends Error {}

function sentence(response: unknown): string {
  const reason = (response as { reason?: unknown; message?: unknown } | null) ?? {};
  const text = reason.message ?? reason.reason;
  return typeof text === "string" && text ? text : "The server refused this without a reason.";
}

export function replyTo<T>(push: Push): Promise<T> {
  return new Promise((resolve, reject) => {
    push
      .receive("ok", (response: T) => resolve(response))
      .receive("error", (response: unknown) => reject(new Refusal(sentence(response))))
      .receive("timeout", () => reject(new NoAnswer("The server did not answer.")));
  });
}

/** The reply to the first join that succeeds; phoenix keeps trying on its own, and every refusal is told. */
export function joinOnce<T>(channel: Channel, onRefused: (reason: string) => void): Promise<T> {
  return new Promise((resolve) => {
    channel
      .join()
      .receive("ok", (response: T) => resolve(response))
      .receive("error", (response: unknown) => onRefused(sentence(response)));
  });
}
