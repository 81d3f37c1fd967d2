"""The contract of what is remembered of people: facts, and the vectors by which they are found by meaning.

See `base.py` for what holds for every method.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from msgspec import Struct

IMPORTANCE = 3
"""Of a fact about which nothing else is said; the least is 1 and the most 5."""


class Fact(Struct, frozen=True, kw_only=True):
    """One remembered thing about a person: the message it comes from, the assistant that kept it, how much it matters.

    `importance` is 1 to 5. `extracted`: a model found it in the message; nobody asked to keep it."""

    id: str
    person_id: str
    text: str
    created_at: datetime
    source_message_id: str | None = None
    assistant: str | None = None
    importance: int = IMPORTANCE
    extracted: bool = False


class Kept(Struct, frozen=True, kw_only=True):
    """What `FactStore.add` did: `fact` is what is there now, `new` unless it was before. `replaced` gave way to it, and
    `dropped` had to go because there is no room for more."""

    fact: Fact
    new: bool
    replaced: Fact | None = None
    dropped: tuple[Fact, ...] = ()


class FactStore(Protocol):
    """What is remembered of people, each on their own: nothing here finds or changes a fact of somebody else."""

    async def add(
        self,
        person_id: str,
        text: str,
        *,
        source_message_id: str | None = None,
        assistant: str | None = None,
        importance: int = IMPORTANCE,
        most: int | None = None,
        instead_of: str | None = None,
        extracted: bool = False,
    ) -> Kept:
        """Stores a fact; the same normalised text again returns the one that is there. It takes the place of the fact
        `instead_of`. Where a person has more than `most` then, the least important go, and of those the oldest; one
        that is `extracted` may be the one that goes."""
        ...

    async def get(self, person_id: str, fact_id: str) -> Fact | None: ...

    async def search(self, person_id: str, query: str, *, limit: int = 200) -> list[Fact]:
        """Facts that may fit `query`: those with one of its words, and where there are none, or it is written without
        spaces, those with pieces of them. Each once, in no order that tells anything; empty for a query without a word.
        Any text is a legal query."""
        ...

    async def edit(
        self, person_id: str, fact_id: str, *, text: str | None = None, importance: int | None = None
    ) -> Fact | None:
        """Changes what is given; None where there is no such fact. Raises `ValidationError` if another has the text."""
        ...

    async def delete(self, person_id: str, fact_id: str) -> bool:
        """Removes it, and its vector with it."""
        ...

    async def clear(self, person_id: str) -> int:
        """Removes all of a person and says how many there were."""
        ...

    async def list(self, person_id: str, *, limit: int = 100) -> list[Fact]:
        """The newest first."""
        ...


class VectorStore(Protocol):
    """Vectors of facts, as float32 in the order of this machine's bytes. Each belongs to one model and one number of
    dimensions; a fact has one at most, and none any more once its text is another or it is gone."""

    async def missing(self, model: str, dimension: int, *, limit: int) -> list[Fact]:
        """Facts, of whomever, without a vector of this kind: the newest first."""
        ...

    async def put(self, model: str, dimension: int, vectors: Sequence[tuple[Fact, bytes]]) -> None:
        """Keeps vectors of facts as they were then; for one that was changed or deleted meanwhile nothing is kept."""
        ...

    async def of(self, person_id: str, model: str, dimension: int, *, limit: int) -> list[tuple[Fact, bytes]]:
        """A person's, the newest facts first."""
        ...

    async def mark(self, person_id: str, model: str, dimension: int) -> tuple[int, int]:
        """Another value whenever `of` would give something else."""
        ...

    async def nearest(
        self, person_id: str, model: str, vector: bytes, *, limit: int
    ) -> list[tuple[Fact, float]] | None:
        """A person's facts by the inner product of their vectors with `vector`, rounded to five digits: the nearest
        first, of equals the newest. None where the database cannot tell (now): the caller compares what `of` gives."""
        ...

    async def settle(self, *, limit: int) -> int:
        """Readies vectors, of whomever, for `nearest`; says how many it found that were not. May run twice at once."""
        ...
