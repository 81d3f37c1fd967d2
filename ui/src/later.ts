/** Parts of the page that come in a chunk of their own, when somebody first needs them. */

import { signal } from "@preact/signals";
import type { ReadonlySignal } from "@preact/signals";

export interface Later<T> {
  /** `null` until it is here. */
  readonly part: ReadonlySignal<T | null>;
  /** Asks for it, unless it is here or on its way. What was cut off on the way is asked for again the next time. */
  fetch(): void;
}

export function later<T>(load: () => Promise<T>): Later<T> {
  const part = signal<T | null>(null);
  let loading = false;
  const fetch = (): void => {
    if (loading) return;
    loading = true;
    load().then(
      (loaded) => (part.value = loaded),
      () => (loading = false),
    );
  };
  return { part, fetch };
}
