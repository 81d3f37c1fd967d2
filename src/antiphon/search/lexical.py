"""Finding by words: BM25 over a set of documents small enough for memory.

Okapi BM25 as in Robertson and Zaragoza, "The Probabilistic Relevance Framework" (2009), with the inverse document
frequency that is never negative: words that are everywhere weigh next to nothing, so no list of stop words is needed.
"""

import math
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator

from msgspec import Struct

_SATURATION = 1.2  # k1: how fast the tenth occurrence of a word stops mattering
_LENGTH = 0.75  # b: how much a long document is held against it
_WORD = re.compile(r"[^\W_]+")
_WRITTEN = re.compile("(?:[^\\W_]|[\u0300-\u036f])+")  # with accents that stand behind their letter
_UNSPACED = re.compile(r"[\u0e00-\u0eff\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff]+")
_VOWELS = frozenset("aeiouy")


class Match(Struct, frozen=True):
    """A document that was found: its position in the set, and how well it fits (higher is better, above 0)."""

    position: int
    score: float


class LexicalIndex:
    """Documents, ready to be searched. It never changes, so any number of threads may search it at once."""

    def __init__(self, documents: Iterable[str]) -> None:
        self._postings: dict[str, list[tuple[int, int]]] = defaultdict(list)
        lengths: list[int] = []
        for position, document in enumerate(documents):
            counts = Counter(words(document))
            lengths.append(counts.total())
            for word, count in counts.items():
                self._postings[word].append((position, count))
        mean = sum(lengths) / len(lengths) if any(lengths) else 1.0
        self._penalties = [_SATURATION * (1 - _LENGTH + _LENGTH * length / mean) for length in lengths]

    def search(self, query: str, limit: int) -> list[Match]:
        """The documents that share a word with `query`, best first; equals in their own order."""
        scores: dict[int, float] = defaultdict(float)
        for word in dict.fromkeys(words(query)):
            postings = self._postings.get(word, ())
            rarity = math.log1p((len(self._penalties) - len(postings) + 0.5) / (len(postings) + 0.5))
            for position, count in postings:
                scores[position] += rarity * count * (_SATURATION + 1) / (count + self._penalties[position])
        ranked = sorted(scores.items(), key=lambda item: (-item[1], item[0]))
        return [Match(position, score) for position, score in ranked[:limit]]


def words(text: str) -> Iterator[str]:
    """The words of `text` as they are compared: without case, accents and English endings.

    Scripts that put no space between words (Chinese, Japanese, Thai …) give every pair of neighbouring characters.
    """
    for match in _WORD.finditer(fold(text)):
        word = match[0]
        for run in _UNSPACED.findall(word):
            yield from _pairs(run)
        for spaced in _UNSPACED.split(word):
            if spaced:
                yield stem(spaced)


def mark(text: str, query: str) -> str:
    """`text` with the words that it shares with `query` in «»."""
    wanted = frozenset(words(query))
    return _WRITTEN.sub(lambda found: found[0] if wanted.isdisjoint(words(found[0])) else f"«{found[0]}»", text)


def fold(text: str) -> str:
    """`text` without case, accents and compatibility forms: Ｃａｆé and CAFE are one."""
    decomposed = unicodedata.normalize("NFKD", text).casefold()
    bare = "".join(character for character in decomposed if not unicodedata.combining(character))
    return unicodedata.normalize("NFC", bare)  # puts Korean syllables together again


def stem(word: str) -> str:
    """An English word without its ending, crude on purpose: both sides of a comparison go through it."""
    if len(word) <= 3 or not word.isascii():
        return word
    if word.endswith("ies"):
        word = f"{word[:-3]}y"
    elif word.endswith("s") and not word.endswith(("ss", "us", "is")):
        word = word[:-1]
    for ending in ("ing", "ed"):
        root = word.removesuffix(ending)
        if root != word and len(root) >= 3 and _VOWELS.intersection(root):
            word = root[:-1] if root[-1] == root[-2] and root[-1] not in "lsz" else root
            break
    return word[:-1] if len(word) > 3 and word.endswith("e") else word


def _pairs(run: str) -> Iterable[str]:
    return [run] if len(run) == 1 else (run[at : at + 2] for at in range(len(run) - 1))
