/**
 * The dialect: GitHub's Markdown without raw HTML, without reference definitions and without images from elsewhere.
 *
 * What comes out is still untrusted: `sanitize.ts` decides what reaches the page.
 */

import { Marked } from "marked";
import type { Tokens } from "marked";
import { escape } from "./escape";
import { highlight } from "./highlight";
import { OWN_FILE } from "./sanitize";

/** Inline tags without attributes that models like to write; every other tag is shown as it was typed. */
const HARMLESS_TAG = /^<(?:br\s*\/?|\/?(?:kbd|sub|sup|mark|u))>/i;

function tag(source: string): Tokens.Tag | undefined {
  const raw = HARMLESS_TAG.exec(source)?.[0];
  // marked's own would also remember open tags from one block to the next.
  return raw === undefined
    ? undefined
    : { type: "html", raw, text: raw, block: false, inLink: false, inRawBlock: false };
}

function languageOf(info: string | undefined): string {
  return /^[\w+#.-]+/.exec(info ?? "")?.[0] ?? "";
}

const dialect = new Marked({
  gfm: true,
  breaks: false,
  tokenizer: {
    html: () => undefined,
    def: () => undefined,
    tag,
  },
  renderer: {
    code({ text, lang }: Tokens.Code) {
      const language = languageOf(lang);
      return `<pre data-language="${escape(language)}"><code>${highlight(text, language)}</code></pre>`;
    },
    // An image address can carry away what the conversation holds, but for a file of this house: a link needs a person
    // who follows it.
    image({ href, text, title }: Tokens.Image) {
      if (OWN_FILE.test(href)) return `<img src="${escape(href)}" alt="${escape(text)}">`;
      return `<a href="${escape(href)}">${escape(text || title || href)}</a>`;
    },
    checkbox: ({ checked }: Tokens.Checkbox) => (checked ? "☑ " : "☐ "),
  },
});

/** The source of each block, in order; joined they are the source again. A blank line belongs to what it ends. */
export function lexBlocks(source: string): string[] {
  const blocks: string[] = [];
  for (const token of dialect.lexer(source)) {
    if (token.type === "space" && blocks.length > 0) blocks[blocks.length - 1] += token.raw;
    else blocks.push(token.raw);
  }
  return blocks;
}

/** Untrusted HTML. */
export function toHtml(source: string): string {
  return dialect.parse(source, { async: false });
}
