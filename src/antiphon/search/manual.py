"""The product's own manual, searchable: what an assistant knows about the house it lives in."""

import re
from collections import Counter
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

from msgspec import Struct

from antiphon.search.lexical import LexicalIndex

_HEADING = re.compile(r"^(#{1,6})[ \t]+(.+?)(?:[ \t]+#+)?[ \t]*$")
_FENCE = re.compile(r"^ {0,3}(`{3,}|~{3,})(.*)$")
_MARKUP = re.compile(r"!?\[([^\]]*)\]\([^)]*\)|[`*]")
_TITLE_WEIGHT = 5  # a word of a title counts like five in the text: there the product's name is in every command

_BUILT = Path(__file__).parent / "manual"
_CHECKOUT = Path(__file__).parents[3] / "docs" / "guides"


class Section(Struct, frozen=True):
    """A piece of the manual under one heading. `title` is the path of headings that leads to it.

    `path` is the file inside the repository, `anchor` the heading's name in a link, as GitHub makes it.
    """

    title: str
    text: str
    path: str
    anchor: str

    @property
    def source(self) -> str:
        return f"{self.path}#{self.anchor}" if self.anchor else self.path


class Manual:
    """Every section of the Markdown files of `folder`, read at the first search.

    Without a folder: the guides of the source tree, where this is one, or those inside the package.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder

    @cached_property
    def sections(self) -> tuple[Section, ...]:
        """In the order of the files' names and of the text; empty when there is no manual."""
        folder = self._folder or (_CHECKOUT if _CHECKOUT.is_dir() else _BUILT)
        files = sorted(folder.rglob("*.md"))
        return tuple(
            section
            for file in files
            for section in split(file.read_text("utf-8"), f"docs/guides/{file.relative_to(folder).as_posix()}")
        )

    @cached_property
    def _index(self) -> LexicalIndex:
        return LexicalIndex(f"{f'{section.title} ' * _TITLE_WEIGHT}{section.text}" for section in self.sections)

    def search(self, query: str, limit: int) -> list[Section]:
        """The sections that fit `query` best, best first; empty when none shares a word with it."""
        return [self.sections[match.position] for match in self._index.search(query, limit)]


def split(markdown: str, path: str) -> Iterator[Section]:
    """The sections of a Markdown file that have text of their own. A `#` inside a code block is no heading."""
    titles: list[tuple[int, str]] = [(0, Path(path).stem)]
    anchor, lines, fence = "", list[str](), ""
    anchors: Counter[str] = Counter()
    for line in markdown.splitlines():
        heading = None if fence else _HEADING.match(line)
        fence = _fence_after(line, fence)
        if not heading:
            lines.append(line)
            continue
        yield from _section(titles, lines, path, anchor)
        level, title = len(heading[1]), _MARKUP.sub(r"\1", heading[2]).strip()
        titles = [above for above in titles if 0 < above[0] < level] + [(level, title)]
        anchor, lines = _anchor(title, anchors), []
    yield from _section(titles, lines, path, anchor)


def _section(titles: list[tuple[int, str]], lines: list[str], path: str, anchor: str) -> Iterator[Section]:
    if text := "\n".join(lines).strip():
        yield Section(" › ".join(title for _, title in titles), text, path, anchor)


def _fence_after(line: str, fence: str) -> str:
    """The fence of the code block that `line` leaves open, empty outside one (CommonMark 4.5)."""
    match = _FENCE.match(line)
    if not match:
        return fence
    if not fence:
        return "" if match[1][0] == "`" and "`" in match[2] else match[1]
    closes = match[1].startswith(fence) and not match[2].strip()
    return "" if closes else fence


def _anchor(title: str, taken: Counter[str]) -> str:
    base = re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")
    taken[base] += 1
    return base if taken[base] == 1 else f"{base}-{taken[base] - 1}"
