"""Words that look like others: a slip of the pen, a part of a longer word.

Similarity as in PostgreSQL's pg_trgm: the share of pieces of three characters that two words have in common, with
blanks around each word, so that its beginning counts more (https://www.postgresql.org/docs/current/pgtrgm.html).
"""

import re

from antiphon.search.lexical import fold

_WORD = re.compile(r"[^\W_]+")

LEAST = 0.4
"""Finds "lighthouse" for "light", and leaves "nothing" for "not" out."""


def alike(query: str, text: str) -> float:
    """How much of `query` looks like words of `text`: the mean over its words, those below `LEAST` counting nothing."""
    wanted = [_pieces(word) for word in dict.fromkeys(_WORD.findall(fold(query)))]
    there = [_pieces(word) for word in dict.fromkeys(_WORD.findall(fold(text)))]
    if not wanted or not there:
        return 0.0
    best = [max(_similarity(one, other) for other in there) for one in wanted]
    return sum(similarity for similarity in best if similarity >= LEAST) / len(wanted)


def _pieces(word: str) -> frozenset[str]:
    padded = f"  {word} "
    return frozenset(padded[at : at + 3] for at in range(len(padded) - 2))


def _similarity(one: frozenset[str], other: frozenset[str]) -> float:
    common = len(one & other)
    return common / (len(one) + len(other) - common)
