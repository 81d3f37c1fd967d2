"""HTML as a model reads it: headings, paragraphs, lists, links; without scripts and navigation.

Not `html.parser`, which takes minutes for a page that was made to take minutes. Everything here looks at a character a
bounded number of times: a search that fails once is not made again.
"""

import re
from collections.abc import Iterator
from html import unescape
from typing import NamedTuple
from urllib.parse import urljoin

_NAME = re.compile(r"/?[a-zA-Z][a-zA-Z0-9-]{0,30}")
_BEFORE_VALUE = re.compile(r">|=[ \t\n\r\f]{0,20}[\"']")
_TAG_LIMIT = 4_096  # characters of a tag that are searched for an attribute
_HIDDEN = frozenset({"script", "style", "template", "svg", "noscript", "iframe", "nav", "footer", "select", "textarea"})
_BLOCKS = frozenset(
    {
        "address", "article", "aside", "blockquote", "body", "details", "div", "dl", "figcaption", "figure", "form",
        "h1", "h2", "h3", "h4", "h5", "h6", "header", "hr", "html", "main", "ol", "p", "pre", "section", "summary",
        "table", "ul",
    }
)  # fmt: skip
_ITEMS = frozenset({"dd", "dt", "li", "tr"})
_CELLS = frozenset({"td", "th"})
_KEPT = "\N{NO-BREAK SPACE}"  # a space that stays one, until all others are put in order
_GAPS = re.compile(r"\n{3,}")


class Readable(NamedTuple):
    title: str
    text: str


class _Tag(NamedTuple):
    """`name` begins with a slash when it closes; `inside` is what stands between the brackets."""

    name: str
    inside: str


def readable(html: str, base: str) -> Readable:
    """The words of a page in Markdown's manner; links are made whole by `base`, the address of the page."""
    text = _Text(base)
    for piece in _pieces(html):
        text.add(piece)
    return text.made()


def _pieces(html: str) -> Iterator[str | _Tag]:
    """Text and tags in order; comments and what is hidden are left out."""
    at, unclosed = 0, set[str]()
    while (start := html.find("<", at)) >= 0:
        yield html[at:start]
        if html.startswith("<!--", start):
            at = _behind(html, "-->", start + 4)
        elif found := _NAME.match(html, start + 1):
            name, end = found[0].lower(), _end_of_tag(html, found.end())
            yield _Tag(name, html[found.end() : min(end - 1, found.end() + _TAG_LIMIT)])
            at = end
            if name in _HIDDEN and name not in unclosed:
                if closing := re.compile(f"</{name}", re.IGNORECASE).search(html, at):
                    at = closing.start()
                else:
                    unclosed.add(name)
        elif html.startswith(("<!", "<?", "</"), start):
            at = _behind(html, ">", start + 2)
        else:
            yield "<"
            at = start + 1
    yield html[at:]


def _behind(html: str, end: str, start: int) -> int:
    found = html.find(end, start)
    return len(html) if found < 0 else found + len(end)


def _end_of_tag(html: str, at: int) -> int:
    """Behind the bracket that closes a tag; one in a quoted value does not."""
    while found := _BEFORE_VALUE.search(html, at):
        if found[0] == ">":
            return found.end()
        at = _behind(html, found[0][-1], found.end())
    return len(html)


def _attribute(tag: _Tag, name: str) -> str:
    found = re.search(rf"(?:^|\s){name}\s*=\s*(?:\"([^\"]*)\"|'([^']*)'|([^\s\"'>]+))", tag.inside, re.IGNORECASE)
    return unescape(next(filter(None, found.groups()), "")) if found else ""


class _Text:
    """Collects the words of a page."""

    def __init__(self, base: str) -> None:
        self._base = base
        self._out: list[str] = []
        self._title: list[str] | None = None
        self._links: list[str] = []
        self._kept = 0  # depth of <pre>

    def add(self, piece: str | _Tag) -> None:
        if isinstance(piece, _Tag):
            self._tag(piece)
        elif piece:
            text = unescape(piece)
            self._out.append(text.replace(" ", _KEPT) if self._kept else re.sub(r"\s+", " ", text))

    def made(self) -> Readable:
        # No expression for the ends of lines: on a long run of tabs it would begin again at each of them.
        text = "\n".join(line.strip(" \t") for line in "".join(self._out).split("\n"))
        text = re.sub(r"(?<=\S) {2,}", " ", text)
        return Readable("".join(self._title or ()).strip(), _GAPS.sub("\n\n", text).strip().replace(_KEPT, " "))

    def _tag(self, tag: _Tag) -> None:
        name = tag.name.removeprefix("/")
        closing = name != tag.name
        if name == "title" and self._title is None and closing:
            self._title, self._out = self._out, []
        elif name == "a":
            self._link(tag, closing=closing)
        elif name == "img" and (shown := _attribute(tag, "alt").strip()):
            self._out.append(f"[image: {shown}] ")
        elif name == "br":
            self._out.append("\n")
        elif name in _CELLS and not closing:
            self._out.append(" | ")
        elif name in _BLOCKS | _ITEMS:
            self._block(name, closing=closing)

    def _link(self, tag: _Tag, *, closing: bool) -> None:
        if not closing:
            where = _attribute(tag, "href")
            self._links.append(_whole(self._base, where) if where and not where.startswith("#") else "")
            self._out.append("[" if self._links[-1] else "")
        elif self._links and (where := self._links.pop()):
            self._out.append(f"]({where})")

    def _block(self, name: str, *, closing: bool) -> None:
        if name == "pre":
            self._kept = max(0, self._kept + (-1 if closing else 1))
        mark = "- " if name == "li" else f"{'#' * int(name[1])} " if name[0] == "h" and name[1].isdigit() else ""
        if name not in _ITEMS:
            self._out.append("\n\n" if closing else f"\n\n{mark}")
        elif not closing:
            self._out.append(f"\n{mark}")


def _whole(base: str, where: str) -> str:
    try:
        whole = urljoin(base, where.strip())
    except ValueError:
        return ""
    return whole if whole.startswith(("http://", "https://")) and len(whole) <= 2_000 else ""
