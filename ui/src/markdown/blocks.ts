/**
 * Splits Markdown that is still growing into blocks that can no longer change and a tail that can.
 *
 * Only the tail is ever parsed again, so a token costs what its block costs, not what the answer costs. This is exact
 * because the dialect (`render.ts`) has no construct that reaches back over a finished block: reference definitions
 * and raw HTML blocks are plain text in it. A property test compares both ways on every prefix.
 */

import { lexBlocks } from "./render";

export class BlockSplitter {
  /** The text behind the last finished block. */
  tail = "";

  /** Takes in more text; returns the blocks that became final with it, in order. */
  push(text: string): string[] {
    // The halves of a line end of two characters may arrive apart.
    this.tail += text.replaceAll("\r", "");
    // A block can only become final when a line ends.
    return text.includes("\n") ? this.settle() : [];
  }

  private settle(): string[] {
    const complete = this.tail.slice(0, this.tail.lastIndexOf("\n") + 1);
    const blocks = lexBlocks(complete);
    // The last block may go on; the one before it is final because a full line of another block follows it.
    const final = blocks.slice(0, -1);
    this.tail = this.tail.slice(final.reduce((length, block) => length + block.length, 0));
    return final;
  }
}
