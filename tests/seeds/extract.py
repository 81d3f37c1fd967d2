"""Every block of code in the five documents, as data: `python -m tests.seeds.extract` lists them.

Markdown is read by a CommonMark parser (fences in lists and indented blocks are blocks too); the reStructuredText one
by the two rules it needs, `.. code-block::` and a paragraph that ends with `::`.
"""

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from textwrap import dedent

from markdown_it import MarkdownIt

FOLDER = Path(__file__).parent / "documents"

DOCUMENTS = {
    "phidata": "phidata-core-concepts.md",
    "pyphoenix": "pyphoenix-core-concepts.rst",
    "simple-ai-agent": "simple-ai-agent-architecture.md",
    "accelerapp": "accelerapp-phase2-architecture.md",
    "pepperpy": "pepperpy-architecture.md",
}

_DIRECTIVE = re.compile(r"\.\. code-block::\s*(\w*)\s*")
_UNDERLINE = re.compile(r"([=\-~^\"'#*+])\1+")
_UNDERLINES = "=-~"
"""In the order in which the one document in reStructuredText uses them."""


@dataclass(frozen=True)
class Block:
    """`number` counts from 1 in its document, `line` is that of the first line of code, `heading` leads there."""

    document: str
    number: int
    heading: tuple[str, ...]
    language: str
    line: int
    text: str

    @property
    def id(self) -> str:
        return f"{self.document}-{self.number}"


@dataclass(frozen=True)
class _Found:
    heading: tuple[str, ...]
    language: str
    line: int
    text: str


@cache
def blocks() -> dict[str, Block]:
    """All blocks by their id, in the order of the documents."""
    found = {}
    for document, file in DOCUMENTS.items():
        text = (FOLDER / file).read_text(encoding="utf-8")
        read = _markdown if file.endswith(".md") else _restructured
        for number, each in enumerate(read(text), 1):
            block = Block(document, number, each.heading, each.language, each.line, each.text)
            found[block.id] = block
    return found


def _markdown(text: str) -> Iterator[_Found]:
    path: list[str] = []
    level = 0
    for token in MarkdownIt().parse(text):
        if token.type == "heading_open":
            level = int(token.tag[1:])
        elif token.type == "inline" and level:
            path = [*path[: level - 1], token.content]
            level = 0
        elif token.type in {"fence", "code_block"} and token.map:
            first = token.map[0] + (2 if token.type == "fence" else 1)
            yield _Found(tuple(path), token.info.strip(), first, token.content)


def _restructured(text: str) -> Iterator[_Found]:
    lines = text.splitlines()
    path: list[str] = []
    number = 0
    while number < len(lines):
        line, above = lines[number], lines[number - 1] if number else ""
        if above.strip() and _UNDERLINE.fullmatch(line) and len(line) >= len(above):
            path = [*path[: _UNDERLINES.index(line[0])], above]
        directive = _DIRECTIVE.fullmatch(line)
        number += 1
        if directive or line.endswith("::"):
            first, number = _indented(lines, number)
            code = "\n".join(lines[first:number])
            yield _Found(tuple(path), directive[1] if directive else "", first + 1, f"{dedent(code)}\n")


def _indented(lines: list[str], start: int) -> tuple[int, int]:
    """From where to where the indented lines below a directive go, without the blank ones around them."""
    end = start
    while end < len(lines) and (not lines[end].strip() or lines[end].startswith(" ")):
        end += 1
    while end > start and not lines[end - 1].strip():
        end -= 1
    while start < end and not lines[start].strip():
        start += 1
    return start, end


def main() -> None:
    for block in blocks().values():
        place = f"{DOCUMENTS[block.document]}:{block.line}"
        sys.stdout.write(f"{block.id:<18} {block.language or '-':<7} {place:<38} {' / '.join(block.heading[1:])}\n")


if __name__ == "__main__":
    main()
