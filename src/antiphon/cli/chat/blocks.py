"""Cuts Markdown that is still being written into blocks that are finished and the one that is not.

A finished block is laid out once and never again, so that a token costs the same at the end of a long answer as at
its beginning. Code and lists are cut inside, between lines and between items.
"""

import re

from msgspec import Struct

CODE_LINES = 30
"""Lines of code that are finished together, before their block is."""

PARAGRAPH_LENGTH = 1500
"""Characters after which a paragraph is cut at the end of a sentence."""

_FENCE = re.compile(r"[ ]*(`{3,}|~{3,})")
_ITEM = re.compile(r"(?:[-*+]|\d{1,9}[.)])\s+\S")
_HEADING = re.compile(r"#{1,6}\s")
_SPECIAL = re.compile(r"\||#{1,6}\s|[ ]*(?:`{3}|~{3})|(?:[-*+]|\d{1,9}[.)])\s")
"""Beginnings of lines that are no plain paragraph."""


class Block(Struct, frozen=True):
    """A piece of Markdown that can be laid out by itself. One that `continues` follows without a blank line."""

    text: str
    continues: bool = False


class Blocks:
    """Takes text as it comes. However it is cut, the blocks are the same."""

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._line = ""
        self._fence = ""
        self._list = False
        self._blank = False
        self._continues = False

    @property
    def tail(self) -> Block | None:
        """The block that is being written."""
        text = "".join(self._lines) + self._line
        return Block(text, self._continues) if text.strip() else None

    def feed(self, text: str) -> list[Block]:
        """The blocks that are finished now."""
        done: list[Block] = []
        *lines, last = (self._line + text).split("\n")
        for line in lines:
            rest, cut = self._cut_sentences(line)
            done += cut + self._take(rest + "\n")
        self._line, cut = self._cut_sentences(last)
        return done + cut

    def close(self) -> list[Block]:
        """The rest, when the text is over."""
        line, self._line = self._line, ""
        return (self._take(line) if line else []) + self._finish()

    def _take(self, line: str) -> list[Block]:
        if self._fence:
            return self._take_code(line)
        if not line.strip():
            if self._list:
                self._blank = True
                self._lines.append(line)
                return []
            return self._finish()
        inside = line.startswith((" ", "\t"))
        done: list[Block] = []
        if self._list and not inside and (self._blank or _ITEM.match(line)):
            tight = not self._blank and bool(_ITEM.match(line))
            done = self._finish(continues=tight)
        elif not self._list and (_ITEM.match(line) or _HEADING.match(line) or _FENCE.match(line)):
            done = self._finish()
        return done + self._open(line)

    def _open(self, line: str) -> list[Block]:
        fence = _FENCE.match(line)
        if fence and self._list and not line.startswith((" ", "\t")):
            opened = self._finish()
            return opened + self._open(line)
        self._blank = False
        self._lines.append(line)
        if fence:
            self._fence = fence[1]
        elif _ITEM.match(line):
            self._list = True
        elif not self._list and _HEADING.match(line):
            return self._finish()
        return []

    def _take_code(self, line: str) -> list[Block]:
        text = line.strip()
        if text.startswith(self._fence) and not text.strip(self._fence[0]):
            self._lines.append(line)
            self._fence = ""
            return [] if self._list else self._finish()
        done: list[Block] = []
        # Never beside an empty line: it would be lost where the two pieces meet.
        if not self._list and len(self._lines) > CODE_LINES and text and self._lines[-1].strip():
            opener, fence = self._lines[0], self._fence
            done = self._finish(continues=True)
            self._lines, self._fence = [opener], fence
        self._lines.append(line)
        return done

    def _cut_sentences(self, line: str) -> tuple[str, list[Block]]:
        """What is left of a line that is a whole paragraph and too long for one."""
        done: list[Block] = []
        if self._fence or self._list or _SPECIAL.match(line):
            return line, done
        while (end := line.find(". ", PARAGRAPH_LENGTH)) > 0:
            self._lines.append(line[: end + 1] + "\n")
            line = line[end + 2 :]
            done += self._finish(continues=True)
        return line, done

    def _finish(self, *, continues: bool = False) -> list[Block]:
        block = Block("".join(self._lines), self._continues)
        self._lines, self._list, self._blank, self._fence = [], False, False, ""
        self._continues = continues and bool(block.text.strip())
        return [block] if block.text.strip() else []
