/** Markdown into an element, as it grows: finished blocks are written once, the tail is written again. */

import { BlockSplitter } from "./blocks";
import { decorate } from "./decorate";
import { toHtml } from "./render";
import { sanitize } from "./sanitize";

function block(source: string): HTMLElement {
  const made = document.createElement("div");
  made.className = "block";
  // Arabic and Hebrew run from the right, whatever the block before did.
  made.dir = "auto";
  made.append(decorate(sanitize(toHtml(source))));
  return made;
}

export class IncrementalMarkdown {
  private splitter = new BlockSplitter();
  private taken = "";
  private shownTail = "";
  private tail: HTMLElement | null = null;

  constructor(private readonly root: HTMLElement) {}

  /** Shows `text`. Cheap when it continues what was shown before, right in any case. */
  update(text: string): void {
    if (text === this.taken) return;
    if (!text.startsWith(this.taken)) this.reset();
    const final = this.splitter.push(text.slice(this.taken.length));
    this.taken = text;
    if (final.length > 0) {
      this.tail?.remove();
      this.tail = null;
      this.shownTail = "";
      this.root.append(...final.map(block));
    }
    this.showTail();
  }

  private showTail(): void {
    const source = this.splitter.tail;
    if (source === this.shownTail) return;
    const fresh = block(source);
    if (this.tail) this.tail.replaceWith(fresh);
    else this.root.append(fresh);
    this.tail = fresh;
    this.shownTail = source;
  }

  private reset(): void {
    this.splitter = new BlockSplitter();
    this.taken = "";
    this.shownTail = "";
    this.tail = null;
    this.root.replaceChildren();
  }
}
