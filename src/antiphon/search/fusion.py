"""One ranking out of several that cannot be compared by their scores.

Reciprocal rank fusion: Cormack, Clarke and Büttcher, "Reciprocal Rank Fusion outperforms Condorcet and individual Rank
Learning Methods" (SIGIR 2009). Only places count: whatever stands high in many lists stands high in the result.
"""

import math
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence

from msgspec import structs

from antiphon.search.base import Passage

_K = 60  # as in the paper: how little the first places differ
_MARKS = re.compile("«([^«»]*)»")


def fuse(rankings: Iterable[Sequence[Passage]]) -> list[Passage]:
    """All that is in `rankings` (each best first), best first; the order of the rankings does not matter.

    The same text is one passage, as it stood highest; its places in different rankings add up."""
    places: dict[str, list[tuple[int, Passage]]] = defaultdict(list)
    for ranking in rankings:
        first = dict[str, Passage]()
        for passage in ranking:
            first.setdefault(" ".join(plain(passage.text).casefold().split()), passage)
        for place, (text, passage) in enumerate(first.items(), 1):
            places[text].append((place, passage))
    return sorted(map(_fused, places.values()), key=precedence)


def precedence(passage: Passage) -> tuple[float, float, str, str]:
    """Sorts the best first, and of equals the newest."""
    age = -passage.when.timestamp() if passage.when else math.inf
    return -passage.score, age, passage.source, passage.id


def plain(text: str) -> str:
    """The text of a passage without the «» around its words."""
    return _MARKS.sub(r"\1", text)


def _fused(places: list[tuple[int, Passage]]) -> Passage:
    _, shown = min(places, key=lambda item: (item[0], precedence(item[1])[1:]))
    # fsum is exact, so that the order of the rankings cannot show in the last digit.
    return structs.replace(shown, score=math.fsum(1 / (_K + place) for place, _ in places))
