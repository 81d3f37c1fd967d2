"""The part of a found text that is worth showing.

The index only finds the text: SQLite's own `snippet()` compares every match of a text with every other one, so that
one long message of the same word over and over held up a reader for seconds.
"""

import re
from collections import Counter

WIDTH = 160
"""Characters from the first of the words shown to the last; there are some more on both sides."""

_AROUND = 40
_MARKED = re.compile("«([^«»]*)»")


def excerpt(marked: str) -> str:
    """A short text whole; of a long one the stretch with the most different words in «», with `…` at what was cut."""
    width = WIDTH + 2 * _AROUND
    start = max(0, _best(marked) - _AROUND) if len(marked) > width else 0
    stop = start + width
    if start:
        start = marked.find(" ", start, start + _AROUND) + 1 or start
    if stop < len(marked):
        stop = max(marked.rfind(" ", stop - _AROUND, stop), stop - _AROUND)
    return ("…" if start else "") + marked[start:stop] + ("…" if stop < len(marked) else "")


def _best(marked: str) -> int:
    found = [(match.start(), match[1].lower()) for match in _MARKED.finditer(marked)]
    within: Counter[str] = Counter()
    first = best = most = 0
    for position, word in found:
        within[word] += 1
        while position - found[first][0] > WIDTH:
            within[found[first][1]] -= 1
            first += 1
        different = len(+within)
        if different > most:
            most, best = different, found[first][0]
    return best
