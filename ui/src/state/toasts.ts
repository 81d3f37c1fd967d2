/** Short messages that something went wrong, and what can be done. */

import { signal } from "@preact/signals";

export interface Toast {
  id: number;
  text: string;
  action?: { label: string; run: () => void };
}

const KEPT = 3;
const SHOWN_MS = 8000;

export const toasts = signal<readonly Toast[]>([]);
let lastId = 0;

export function dismiss(id: number): void {
  toasts.value = toasts.value.filter((toast) => toast.id !== id);
}

/** Goes away by itself, unless there is something to do about it. */
export function toast(text: string, action?: Toast["action"]): void {
  const id = ++lastId;
  const others = toasts.value.filter((known) => known.text !== text).slice(-(KEPT - 1));
  toasts.value = [...others, action ? { id, text, action } : { id, text }];
  if (!action) setTimeout(() => dismiss(id), SHOWN_MS);
}
