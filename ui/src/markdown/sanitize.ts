/** The only door through which HTML made from a model's words reaches the page. */

import DOMPurify from "dompurify";

const TAGS = [
  ["a", "b", "blockquote", "br", "code", "del", "em", "h1", "h2", "h3", "h4", "h5", "h6", "hr", "i", "img", "kbd", "li"],
  ["mark", "ol", "p", "pre", "s", "span", "strong", "sub", "sup", "table", "tbody", "td", "th", "thead", "tr", "u", "ul"],
].flat();
const ATTRIBUTES = ["align", "alt", "class", "data-language", "href", "src", "start", "title"];
/** The only images, and the only links inside: files that the house keeps, which it gives to nobody else. */
export const OWN_FILE = /^\/api\/v1\/files\/[0-9A-HJKMNP-TV-Z]{26}$/;
const SAFE_LINK = new RegExp(`^(?:https?|mailto):|${OWN_FILE.source}`, "i");
const HIGHLIGHT_CLASS = /^(?:hljs-[\w-]+|language_|function_|class_|inherited__|\s)+$/;

DOMPurify.addHook("afterSanitizeAttributes", (node) => {
  if (node.hasAttribute("class") && !HIGHLIGHT_CLASS.test(node.getAttribute("class") ?? "")) node.removeAttribute("class");
  if (node.nodeName === "IMG") {
    if (OWN_FILE.test(node.getAttribute("src") ?? "")) node.setAttribute("loading", "lazy");
    else node.remove();
  }
  if (node.nodeName !== "A") return;
  if (!SAFE_LINK.test(node.getAttribute("href") ?? "")) node.removeAttribute("href");
  node.setAttribute("target", "_blank");
  node.setAttribute("rel", "noopener noreferrer");
});

/** A fragment to insert: no string of HTML is ever handed to the document (Trusted Types would refuse it). */
export function sanitize(html: string): DocumentFragment {
  return DOMPurify.sanitize(html, {
    ALLOWED_TAGS: TAGS,
    ALLOWED_ATTR: ATTRIBUTES,
    ALLOW_DATA_ATTR: false,
    ALLOW_ARIA_ATTR: false,
    ALLOWED_URI_REGEXP: SAFE_LINK,
    // An `src` is judged above: by what it leads to, not by how it begins.
    ADD_URI_SAFE_ATTR: ["align", "alt", "data-language", "src", "start"],
    RETURN_DOM_FRAGMENT: true,
  });
}
