/** Markdown comes when the first answer is shown; until it is here, plain text is. */

import { later } from "../later";

export const renderer = later(async () => (await import("./incremental")).IncrementalMarkdown);
