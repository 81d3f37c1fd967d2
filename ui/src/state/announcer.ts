/** What a screen reader is told: finished messages, never tokens. */

import { signal } from "@preact/signals";

export const announcement = signal("");

export function announce(text: string): void {
  announcement.value = text;
}
