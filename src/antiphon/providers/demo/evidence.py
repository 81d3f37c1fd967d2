"""Answers of search tools as passages, and the sentences of them that answer a question.

Tools answer in text. Passages are read from JSON (a list of objects, or an object that holds one) or from
Markdown (headings, list items, paragraphs), so a foreign search tool is quoted as well as ours.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Struct

from antiphon.providers.demo.words import content_stems, rank, sentences, stems

_LISTS = ("results", "items", "passages", "matches", "hits", "sections", "notes", "messages")
_TEXTS = ("text", "content", "snippet", "excerpt", "body", "note", "passage")
_TITLES = ("title", "heading", "section", "name", "conversation")
_SOURCES = ("url", "link", "source", "path", "page", "file")
_HEADING = re.compile(r"^#{1,6}\s+(.+?)\s*#*$")
_FENCE = re.compile(r"^(```+|~~~+)[^\n]*\n.*?^\1\s*$", re.MULTILINE | re.DOTALL)
_ITEM = re.compile(r"^\s*(?:[-*•]|\d{1,3}[.)])\s+")
_TABLE = re.compile(r"(?:^\|.*\|[ \t]*$\n?){3,30}", re.MULTILINE)
_WRAP = re.compile(r"(?<=[^\n|>])\n(?=[^\s\n|>#*\-\d])")
_TELLING = re.compile(r"[^\W\d_]{2}")
_NOTHING = re.compile(r"(?i)(?:nothing|none|no [a-z ]{1,40})(?: (?:was |were )?found)?\b[^.\n]{0,80}\.?")
_LONGEST = 50_000


class Excerpt(Struct, frozen=True, kw_only=True):
    """A piece of text and where it is from. `title` and `source` are empty when the tool did not say."""

    text: str
    title: str = ""
    source: str = ""

    @property
    def code(self) -> str | None:
        """The first fenced block, as it stands."""
        fence = _FENCE.search(self.text)
        return fence[0].rstrip() if fence else None

    @property
    def table(self) -> str | None:
        """The first table, as it stands."""
        table = _TABLE.search(self.prose)
        return table[0].rstrip() if table else None

    @property
    def prose(self) -> str:
        """The text without its fenced blocks."""
        return _FENCE.sub("", self.text).strip()

    @property
    def heading(self) -> str:
        """The last part of a title such as `Models › Which model answers?`."""
        return self.title.rpartition("›")[2].strip()

    @property
    def label(self) -> str:
        """Where it is from, in Markdown; empty when nobody knows."""
        name = (self.title or self.source).replace("[", "(").replace("]", ")").replace("\n", " ")
        if self.title and re.match(r"(?:https?://|/)[^\s()<>]+$", self.source):
            return f"[{name}]({self.source})"
        return f"*{name}*" + (f" (`{self.source}`)" if self.title and self.source else "") if name else ""


def passages(text: str) -> list[Excerpt]:
    """The passages in a tool's answer; none for an answer that says there are none."""
    text = text[:_LONGEST].strip()
    if not text or _NOTHING.fullmatch(text):
        return []
    if text[0] in "[{":
        try:
            return list(_from_json(msgspec.json.decode(text)))
        except (msgspec.DecodeError, RecursionError):
            pass
    return list(_from_markdown(text))


def _from_json(value: Any) -> Iterator[Excerpt]:
    if isinstance(value, Mapping):
        inner = next((value[key] for key in _LISTS if isinstance(value.get(key), list)), None)
        if inner is not None:
            yield from _from_json(inner)
        elif body := _first(value, _TEXTS):
            yield Excerpt(text=body, title=_first(value, _TITLES), source=_first(value, _SOURCES))
    elif isinstance(value, list):
        for item in value:
            if isinstance(item, str) and item.strip():
                yield Excerpt(text=item.strip())
            elif isinstance(item, Mapping):
                yield from _from_json(item)


def _first(value: Mapping[str, Any], keys: Sequence[str]) -> str:
    return next((value[key].strip() for key in keys if isinstance(value.get(key), str) and value[key].strip()), "")


def _from_markdown(text: str) -> Iterator[Excerpt]:
    """A heading begins a passage; without headings every list item or paragraph is one."""
    title, lines, fenced = "", list[str](), False
    blocks: list[tuple[str, list[str]]] = []
    for line in text.splitlines():
        fenced ^= line.lstrip().startswith(("```", "~~~"))
        heading = None if fenced else _HEADING.match(line)
        if heading:
            blocks.append((title, lines))
            title, lines = heading[1], []
        else:
            lines.append(line)
    blocks.append((title, lines))
    for name, body in blocks:
        joined = "\n".join(body).strip()
        if name and joined:
            yield Excerpt(text=joined, title=name)
        elif joined:
            yield from (Excerpt(text=piece) for piece in _pieces(joined))


def _pieces(text: str) -> Iterator[str]:
    if all(_ITEM.match(line) for line in text.splitlines() if line.strip()):
        yield from (_ITEM.sub("", line).strip() for line in text.splitlines() if line.strip())
    else:
        yield from (piece.strip() for piece in re.split(r"\n\s*\n", text) if piece.strip())


def best(question: str, found: Sequence[Excerpt], *, strict: bool = False) -> list[Excerpt]:
    """The excerpts that are about the question, best first.

    Half of its words must occur. `strict`, for texts at large, wants both words of two unless the heading holds one:
    a single common word proves nothing there, while a person's own few notes are worth a guess.
    """
    query = set(content_stems(question))
    if not query:
        return list(found)
    scores = rank(question, [f"{excerpt.title} {excerpt.title} {excerpt.text}" for excerpt in found])
    top = max(scores, default=0.0) or 1.0
    order = {at: score / top + _likeness(query, found[at].heading) for at, score in enumerate(scores)}
    fitting = [at for at, excerpt in enumerate(found) if _fits(query, excerpt, strict)]
    return [found[at] for at in sorted(fitting, key=lambda at: (-order[at], at))]


def _fits(query: set[str], excerpt: Excerpt, strict: bool) -> bool:
    half = (len(query) + 1) // 2
    needed = len(query) if strict and len(query) <= 2 else half
    headed = len(query & set(stems(excerpt.heading)))
    return headed >= half or len(query & set(stems(f"{excerpt.title} {excerpt.text}"))) >= needed


def _likeness(query: set[str], heading: str) -> float:
    """How much of both is the same: 1 for a heading that asks the very question."""
    title = set(content_stems(heading))
    return len(query & title) / len(query | title)


def quote(question: str, excerpt: Excerpt, limit: int = 2) -> list[str]:
    """The sentences of an excerpt to quote, in its order: the first, which names the matter, and the nearest."""
    prose = _WRAP.sub(" ", _TABLE.sub("", excerpt.prose))
    lines = [line for line in sentences(prose) if not line.startswith(("|", "<", "#")) and not line.endswith(":")]
    lines = [line for line in lines if _TELLING.search(line)]
    if len(lines) <= limit:
        return lines
    scores = rank(question, lines)
    scores[0] += max(scores, default=0.0) + 0.1
    chosen = sorted(range(len(lines)), key=lambda at: (-scores[at], at))[:limit]
    return [lines[at] for at in sorted(chosen)]
