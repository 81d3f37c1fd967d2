"""Words that look like others: a slip of the pen, a part of a longer word.

Similarity as in PostgreSQL's pg_trgm: the share of pieces of three characters that two words have in common, with
blanks around each word, so that its beginning counts more (https://www.postgresql.org/docs/current/pgtrgm.html).
"""

import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

from antiphon.search.lexical import fold

_WORD = re.compile(r"[^\W_]+")

_MOST_WORDS = 32
"""Of a query, as many as a database is asked for: a long one is not looked for by the slips of its pen."""

LEAST = 0.4
"""Finds "lighthouse" for "light", and leaves "nothing" for "not" out."""


def alike(query: str, text: str) -> float:
    """How much of `query`, of its first words, looks like words of `text`: the mean over them, those below `LEAST`
    counting nothing."""
    wanted, there = _words(query)[:_MOST_WORDS], [_pieces(word) for word in _words(text)]
    if not wanted:
        return 0.0
    # By their pieces: comparing each word with each takes a second for two long texts, and many may be looked through.
    holders: dict[str, list[int]] = defaultdict(list)
    for place, pieces in enumerate(there):
        for piece in pieces:
            holders[piece].append(place)
    best = [_best(_pieces(word), there, holders) for word in wanted]
    return sum(similarity for similarity in best if similarity >= LEAST) / len(wanted)


def _words(text: str) -> list[str]:
    return list(dict.fromkeys(_WORD.findall(fold(text))))


def _pieces(word: str) -> frozenset[str]:
    padded = f"  {word} "
    return frozenset(padded[at : at + 3] for at in range(len(padded) - 2))


def _best(one: frozenset[str], there: Sequence[frozenset[str]], holders: Mapping[str, Sequence[int]]) -> float:
    """How similar the most similar word is."""
    common = Counter(place for piece in one for place in holders.get(piece, ()))
    return max((count / (len(one) + len(there[place]) - count) for place, count in common.items()), default=0.0)
