"""Words of a text: how the demo model reads, ranks and counts."""

import re
from collections.abc import Sequence

from antiphon.search.lexical import LexicalIndex, fold, words

_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")
_TOKEN = re.compile(r"\s*\S{1,64}|\s+")
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_SENTENCE = re.compile(r"(?<=[.!?。！？])\s+(?=\S)|\n+")


def listed(text: str) -> frozenset[str]:
    """The words of a list that is written as a text."""
    return frozenset(text.split())


STOP = listed(
    """a about again all also am an and any anything are as at be been but by can could did do does doing don't else
    for from get give had has have he hello help her hey hi him his how i i'd i'm i've if in into is isn't it
    it's its just know let like list look make many may me might more most much must my need no not now of off
    on one or our out over please really same say see shall she should show so some something tell than that
    that's the their them then there these they thing things this those to too up us use used using very want
    was way we were what what's when where which who who's whom why will with work works would you your yours
    find search happen happens happened here explain describe mean means meaning think"""
)


def content_words(text: str) -> list[str]:
    """The words that carry the meaning, folded, each once, in the order of the text."""
    return list(
        dict.fromkeys(
            word for word in _WORD.findall(fold(text).replace("’", "'")) if word not in STOP and not word.isdigit()
        )
    )


def stems(text: str) -> list[str]:
    """The stems of all words, names such as `search_manual` and `searchManual` taken apart."""
    return list(words(_CAMEL.sub(" ", text)))


def content_stems(text: str) -> list[str]:
    return list(dict.fromkeys(stem for word in content_words(text) for stem in words(word)))


def sentences(text: str) -> list[str]:
    return [piece.strip() for piece in _SENTENCE.split(text) if piece.strip()]


def tokens(text: str) -> list[str]:
    """The pieces a text is streamed in: words with the space before them; joined they are the text."""
    return _TOKEN.findall(text)


def count(text: str) -> int:
    """What the demo model calls tokens: words, long ones in pieces of 64 characters."""
    return len(tokens(text))


def rank(query: str, documents: Sequence[str]) -> list[float]:
    """The BM25 score of every document; 0 for one that shares no word with the query."""
    scores = [0.0] * len(documents)
    for match in LexicalIndex(documents).search(query, len(documents)):
        scores[match.position] = match.score
    return scores
