"""The contracts of search: what can be searched, what everybody else asks, and what comes back."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from msgspec import Struct

from antiphon.domain import Role


class Passage(Struct, frozen=True, kw_only=True):
    """Something that was found.

    `id` is the source's own. `title` says where it is: the title of a conversation, the headings above a section; empty
    for a fact. `text` has the words that were looked for in «». `reference` leads there: from a message to its
    conversation, from a fact to the message it comes from.
    """

    source: str
    id: str
    title: str
    text: str
    score: float = 0.0
    """Higher is better; only compared with others of the same search."""
    when: datetime | None = None
    role: Role | None = None
    """Who said it, of a message."""
    reference: str | None = None


class SearchAnswer(Struct, frozen=True):
    """What a search came to. `left_out` names the sources that failed or were too slow: there may be more."""

    items: tuple[Passage, ...]
    left_out: tuple[str, ...] = ()


class SearchSource(Protocol):
    """One place to look in, by its name."""

    name: str

    async def find(self, person_id: str, query: str, *, limit: int, exclude: str | None = None) -> list[Passage]:
        """The best `limit` that this person may see, best first. Any text is a legal query. `exclude` is a
        conversation that is left out."""
        ...


class Search(Protocol):
    """What tools and routes ask: all sources as one."""

    async def find(
        self, person_id: str, query: str, *, limit: int = 10, sources: Sequence[str] = (), exclude: str | None = None
    ) -> SearchAnswer:
        """The best `limit` of the named sources, of all when none is named; best first, the same text once.

        Any text is a legal query. Raises `ValidationError` for a source that there is not, and `ServiceError` when
        none of them answered."""
        ...
