/** Markdown is a chunk of its own, asked for when the first answer is shown; until it is here, plain text is. */

import { signal } from "@preact/signals";
import type { IncrementalMarkdown } from "./incremental";

type Renderer = new (root: HTMLElement) => IncrementalMarkdown;

export const renderer = signal<Renderer | null>(null);

let loading: Promise<void> | null = null;

export function loadRenderer(): void {
  loading ??= import("./incremental").then(
    (module) => {
      renderer.value = module.IncrementalMarkdown;
    },
    () => {
      // Cut off on the way: the next answer asks again.
      loading = null;
    },
  );
}
