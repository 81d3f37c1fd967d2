import { describe, expect, it } from "vitest";
import { decorate } from "../src/markdown/decorate";
import { toHtml } from "../src/markdown/render";
import { sanitize } from "../src/markdown/sanitize";

function shown(markdown: string): HTMLElement {
  const root = document.createElement("div");
  root.append(decorate(sanitize(toHtml(markdown))));
  return root;
}

const ATTACKS = [
  "<script>alert(1)</script>",
  "<img src=x onerror=alert(1)>",
  "<svg/onload=alert(1)>",
  "<iframe src='javascript:alert(1)'></iframe>",
  "[x](javascript:alert(1))",
  "[x](JaVaScRiPt:alert(1))",
  "[x](java&#10;script:alert(1))",
  "[x](data:text/html,<script>alert(1)</script>)",
  "[x](vbscript:msgbox)",
  "[x](//evil.example)",
  "[x](/relative)",
  "<javascript:alert(1)>",
  "![x](https://evil.example/?q=secret)",
  "![x](javascript:alert(1))",
  '[x](https://a.b "onclick=alert(1)")',
  '![" onerror="alert(1)](https://a.b)',
  "```html\n<img src=x onerror=alert(1)>\n```",
  '```"><img src=x onerror=alert(1)>\ncode\n```',
  "`<img src=x onerror=alert(1)>`",
  "<a href='https://a.b' onclick='alert(1)' style='position:fixed'>x</a>",
  "<kbd onclick=alert(1)>x</kbd>",
  "<form action=https://evil.example><input name=a></form>",
  "<math><mtext><table><mglyph><style><img src=x onerror=alert(1)>",
  "<b id=location name=cookie>x</b>",
  "&lt;script&gt;alert(1)&lt;/script&gt;",
  "| <img src=x onerror=alert(1)> | b |\n|---|---|\n| <script>1</script> | 2 |",
];

const HARMLESS = new Set([
  "A", "B", "BLOCKQUOTE", "BR", "BUTTON", "CODE", "DEL", "DIV", "EM", "H1", "H2", "H3", "HR", "I", "KBD", "LI", "MARK", "OL", "P",
  "PRE", "S", "SPAN", "STRONG", "SUB", "SUP", "TABLE", "TBODY", "TD", "TH", "THEAD", "TR", "U", "UL",
]);

describe("what a model writes", () => {
  it.each(ATTACKS)("cannot act: %s", (attack) => {
    const root = shown(attack);
    for (const element of root.querySelectorAll("*")) {
      expect(HARMLESS).toContain(element.nodeName);
      for (const { name } of element.attributes) {
        expect(name).not.toMatch(/^on|^style$|^src|^id$|^name$|^action$/);
      }
    }
    for (const link of root.querySelectorAll("a")) {
      const href = link.getAttribute("href");
      if (href !== null) expect(href).toMatch(/^(https?|mailto):/);
      expect(link.rel).toBe("noopener noreferrer");
      expect(link.target).toBe("_blank");
    }
  });

  it("shows raw HTML as it was typed", () => {
    expect(shown("a <div>b</div>").textContent).toContain("<div>b</div>");
  });

  it("turns an image into a link, so that nothing is fetched", () => {
    const root = shown("![a chart](https://example.com/chart.png)");
    expect(root.querySelector("img")).toBeNull();
    expect(root.querySelector("a")?.href).toBe("https://example.com/chart.png");
    expect(root.querySelector("a")?.textContent).toBe("a chart");
  });

  it("links to a file of this house and to nothing else in it", () => {
    const own = "/api/v1/files/01M7YTFAF3A5C20VBDC381VVAW";
    const link = shown(`[prices\\[1\\].csv](${own})`).querySelector("a");
    expect([link?.getAttribute("href"), link?.textContent]).toEqual([own, "prices[1].csv"]);
    for (const other of [`${own}?q=1`, `${own}/..`, `/x${own}`, "/api/v1/files/", "/c/01M7YTFAF3A5C20VBDC381VVAW"]) {
      expect(shown(`[x](${other})`).querySelector("a")?.hasAttribute("href")).toBe(false);
    }
  });

  it("shows an image of this house and no other", () => {
    const own = "/api/v1/files/01M7YTFAF3A5C20VBDC381VVAW";
    const image = shown(`Here:\n\n![a <b>cat</b> "x](${own} "t")`).querySelector("img");
    expect(image?.getAttribute("src")).toBe(own);
    expect(image?.alt).toBe('a <b>cat</b> "x');
    expect([...(image?.attributes ?? [])].map(({ name }) => name).sort()).toEqual(["alt", "loading", "src"]);
    const others = [`https://evil.example${own}`, `//evil.example${own}`, `${own}?q=secret`, `${own}/../..`, `/x${own}`, "data:image/png;base64,AA=="];
    for (const other of others) {
      expect(shown(`![x](${other})`).querySelector("img")).toBeNull();
      const root = document.createElement("div");
      root.append(sanitize(`<img src="${other}" onerror="alert(1)" alt="x"><p>there</p>`));
      expect(root.querySelector("img")).toBeNull();
      expect(root.textContent).toBe("there");
    }
  });

  it("keeps what formats: tables, lists, tasks, keys", () => {
    const root = shown("| a | b |\n|:-:|--:|\n| 1 | 2 |\n\n- [x] done\n- [ ] open\n\n1. one\n\n<kbd>Ctrl</kbd> x<sup>2</sup>");
    expect(root.querySelector("td")?.getAttribute("align")).toBe("center");
    expect(root.textContent).toContain("☑ done");
    expect(root.textContent).toContain("☐ open");
    expect(root.querySelector("kbd")?.textContent).toBe("Ctrl");
    expect(root.querySelector("sup")?.textContent).toBe("2");
  });

  it("colours code and offers to copy it", () => {
    const root = shown("```python\ndef f():\n    return 1\n```");
    expect(root.querySelector(".hljs-keyword")?.textContent).toBe("def");
    expect(root.querySelector(".code-language")?.textContent).toBe("python");
    expect(root.querySelector("button.code-copy")).not.toBeNull();
    expect(root.querySelector("code")?.textContent).toBe("def f():\n    return 1");
  });

  it("shows code in a language it does not know", () => {
    expect(shown("```brainfuck\n<+>\n```").querySelector("code")?.textContent).toBe("<+>");
  });
});
