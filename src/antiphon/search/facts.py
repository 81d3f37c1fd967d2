"""Finding what is remembered of a person: by words, and by meaning where there are vectors.

A database gives what may fit; the order is made here, by one measure, so that nobody can tell from it which database
it was. Both rankings weigh how old a fact is and how much it matters, and reciprocal rank fusion makes one of them.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from antiphon.domain import now
from antiphon.runtime.threads import run_async
from antiphon.search.alike import alike
from antiphon.search.base import Passage
from antiphon.search.fusion import fuse
from antiphon.search.lexical import LexicalIndex
from antiphon.storage.facts import Fact, FactStore

FACTS = "facts"
"""The source that these are of."""

HALF_LIFE = 90
"""Days after which the half of a fact's weight that fades is half gone; the other half never fades."""

_CANDIDATES = 200
_LONGEST_QUERY = 4_000


class Nearest(Protocol):
    """Finding by meaning."""

    async def nearest(self, person_id: str, query: str, limit: int) -> list[tuple[Fact, float]]:
        """The person's facts that mean something like `query`, with how near they are (above 0, up to 1); empty when
        that cannot be said now. Never raises, and never takes long."""
        ...

    async def twin(self, person_id: str, text: str) -> Fact | None:
        """The person's fact that says the same as `text` in other words, None as above."""
        ...


class FactFinder:
    """Searches the facts of `store`, and by meaning too when `nearest` is given."""

    def __init__(self, store: FactStore, nearest: Nearest | None = None) -> None:
        self._store = store
        self._nearest = nearest

    async def find(self, person_id: str, query: str, *, limit: int) -> list[tuple[Fact, float]]:
        """The best first, with a score that is only compared with others of the same search; an empty query finds the
        newest. Any text is a legal query."""
        query = query[:_LONGEST_QUERY]
        if not query.strip():
            return [(fact, 0.0) for fact in await self._store.list(person_id, limit=limit)]
        today = now()
        found = await self._store.search(person_id, query, limit=_CANDIDATES)
        # Beside the event loop: it may be much to read.
        rankings = [await run_async(_by_words, query, found, today) if found else []]
        if self._nearest is not None:
            near = await self._nearest.nearest(person_id, query, _CANDIDATES)
            rankings.append(_best_first([(fact, nearness * weight(fact, today)) for fact, nearness in near]))
        if not all(rankings):
            return [pair for ranking in rankings for pair in ranking][:limit]
        known = {fact.id: fact for ranking in reversed(rankings) for fact, _ in ranking}
        fused = fuse([_passage(fact, score) for fact, score in ranking] for ranking in rankings)
        return [(known[passage.id], passage.score) for passage in fused[:limit]]

    async def twin(self, person_id: str, text: str) -> Fact | None:
        """The fact that says the same in other words; None without vectors."""
        return await self._nearest.twin(person_id, text) if self._nearest is not None else None


def weight(fact: Fact, today: datetime) -> float:
    """What age and importance make of a fact's score: 1 for a new one of middling importance."""
    age = max(0, (today - fact.created_at).days)
    return float((0.5 + 0.5 * 0.5 ** (age / HALF_LIFE)) * (0.7 + 0.1 * fact.importance))


def _by_words(query: str, found: Sequence[Fact], today: datetime) -> list[tuple[Fact, float]]:
    """By BM25; those that hold only words like the ones of `query` come last."""
    # Whoever found them, the order they come in must not show.
    facts = sorted(found, key=lambda fact: fact.id)
    matches = LexicalIndex(fact.text for fact in facts).search(query, len(facts))
    best = [(facts[match.position], match.score * weight(facts[match.position], today)) for match in matches]
    matched = {fact.id for fact, _ in best}
    rest = [(fact, alike(query, fact.text)) for fact in facts if fact.id not in matched]
    return _best_first(best) + _best_first([pair for pair in rest if pair[1]])


def _best_first(found: list[tuple[Fact, float]]) -> list[tuple[Fact, float]]:
    newest_first = sorted(found, key=lambda pair: pair[0].id, reverse=True)
    return sorted(newest_first, key=lambda pair: -pair[1])


def _passage(fact: Fact, score: float) -> Passage:
    return Passage(source=FACTS, id=fact.id, title="", text=fact.text, score=score, when=fact.created_at)
