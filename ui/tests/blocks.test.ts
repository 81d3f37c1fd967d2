import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { BlockSplitter } from "../src/markdown/blocks";
import { IncrementalMarkdown } from "../src/markdown/incremental";
import { toHtml } from "../src/markdown/render";

/** Pieces of Markdown that interact: every pair of neighbours is a construct somebody got wrong once. */
const PIECES = [
  "word", " ", "\n", "\n\n", "\n\n\n", "# ", "## Title\n", "- ", "* a\n", "1. ", "2) b\n", "> ", ">> ", "```", "```js\n",
  "~~~\n", "    ", "\t", "---", "===\n", "| a | b |\n", "|---|---|\n", "| 1 | 2 |\n", "*", "**bold**", "_", "`", "[a]", "[a](http://x.y)",
  "[a]: http://x.y\n", "![i](http://x.y/i.png)", "<div>\n", "</div>", "<a href='x'>", "<pre>", "<!--", "-->", "<br>", "<kbd>",
  "https://x.y/z ", "\\", "&amp;", "- [ ] todo\n", "  - nested\n", "   continued\n", "é", "😀", "\r\n", "$$", "[^1]: note\n",
];

const source = fc.array(fc.constantFrom(...PIECES), { maxLength: 40 }).map((pieces) => pieces.join(""));

function split(text: string, sizes: number[]): string[] {
  const chunks: string[] = [];
  let at = 0;
  for (let turn = 0; at < text.length; turn++) {
    const size = sizes[turn % sizes.length] ?? 1;
    chunks.push(text.slice(at, at + size));
    at += size;
  }
  return chunks;
}

const sizes = fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 5 });

describe("BlockSplitter", () => {
  it("loses and invents no character", () => {
    fc.assert(
      fc.property(source, sizes, (text, chunkSizes) => {
        const splitter = new BlockSplitter();
        const final = split(text, chunkSizes).flatMap((chunk) => splitter.push(chunk));
        expect(final.join("") + splitter.tail).toBe(text.replaceAll("\r", ""));
      }),
    );
  });

  it("renders the same at every prefix, whatever the chunks", () => {
    fc.assert(
      fc.property(source, sizes, (text, chunkSizes) => {
        const splitter = new BlockSplitter();
        let html = "";
        let seen = "";
        for (const chunk of split(text, chunkSizes)) {
          html += splitter.push(chunk).map(toHtml).join("");
          seen += chunk;
          expect(html + toHtml(splitter.tail)).toBe(toHtml(seen.replaceAll("\r", "")));
        }
      }),
      { numRuns: 1000 },
    );
  });

  it("parses only the tail: a finished paragraph never comes back", () => {
    const splitter = new BlockSplitter();
    for (let n = 0; n < 200; n++) {
      splitter.push(`Paragraph ${n} says something.\n\n`);
      expect(splitter.tail.length).toBeLessThan(100);
    }
  });
});

describe("IncrementalMarkdown", () => {
  it("keeps the elements of finished blocks", () => {
    const root = document.createElement("div");
    const markdown = new IncrementalMarkdown(root);
    markdown.update("First.\n\nSecond.\n\nTh");
    const first = root.firstElementChild;
    markdown.update("First.\n\nSecond.\n\nThird *here*.");
    expect(root.firstElementChild).toBe(first);
    expect(root.textContent).toContain("Third here.");
  });

  it("starts over when the text is not a continuation", () => {
    const root = document.createElement("div");
    const markdown = new IncrementalMarkdown(root);
    markdown.update("One.\n\nTwo.\n\n");
    markdown.update("Other.");
    expect(root.textContent?.trim()).toBe("Other.");
  });

  it("shows in the end what one update would have shown", () => {
    fc.assert(
      fc.property(source, sizes, (text, chunkSizes) => {
        const grown = document.createElement("div");
        const whole = document.createElement("div");
        const markdown = new IncrementalMarkdown(grown);
        let seen = "";
        for (const chunk of split(text, chunkSizes)) markdown.update((seen += chunk));
        new IncrementalMarkdown(whole).update(text);
        expect(grown.textContent).toBe(whole.textContent);
      }),
      { numRuns: 60 },
    );
  });
});
