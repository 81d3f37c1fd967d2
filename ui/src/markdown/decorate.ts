/** What a block of a finished look has beyond its Markdown: a bar over code, a frame that lets wide tables scroll. */

function element<K extends keyof HTMLElementTagNameMap>(tag: K, className: string, text = ""): HTMLElementTagNameMap[K] {
  const made = document.createElement(tag);
  made.className = className;
  made.textContent = text;
  return made;
}

function frameCode(pre: HTMLPreElement): void {
  const language = pre.dataset["language"] || "text";
  const copy = element("button", "code-copy", "Copy");
  copy.type = "button";
  copy.dataset["testid"] = "copy-code";
  copy.setAttribute("aria-label", `Copy ${language} code`);
  const bar = element("div", "code-bar");
  bar.append(element("span", "code-language", language), copy);
  const frame = element("div", "code");
  pre.tabIndex = 0;
  pre.replaceWith(frame);
  frame.append(bar, pre);
}

function frameTable(table: HTMLTableElement): void {
  const frame = element("div", "table");
  frame.tabIndex = 0;
  frame.setAttribute("role", "region");
  frame.setAttribute("aria-label", "Table");
  table.replaceWith(frame);
  frame.append(table);
}

export function decorate(fragment: DocumentFragment): DocumentFragment {
  fragment.querySelectorAll("pre").forEach(frameCode);
  fragment.querySelectorAll("table").forEach(frameTable);
  return fragment;
}
