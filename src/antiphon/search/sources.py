"""The sources of the house: what was said, what is to be remembered, and the manual."""

from collections.abc import Sequence

from msgspec import structs

from antiphon.runtime.threads import run_async
from antiphon.search.base import Passage
from antiphon.search.facts import FACTS, FactFinder
from antiphon.search.finder import Finder
from antiphon.search.fusion import precedence
from antiphon.search.lexical import LexicalIndex, mark
from antiphon.search.manual import Manual
from antiphon.storage.base import ConversationStore, Store
from antiphon.telemetry.metrics import Metrics

MESSAGES, MANUAL = "messages", "manual"

_WIDER = 3
"""How many times more a database is asked for than is shown: it chooses by its own measure, we sort by ours."""

_LONGEST_SECTION = 2_000


def open_search(store: Store, facts: FactFinder, *, metrics: Metrics | None = None) -> Finder:
    """Everything in the house that can be searched."""
    sources = (MessageSource(store.conversations), FactSource(facts), ManualSource(Manual()))
    return Finder(sources, metrics=metrics)


class MessageSource:
    """What a person and the assistants said to each other."""

    name = MESSAGES

    def __init__(self, conversations: ConversationStore) -> None:
        self._conversations = conversations

    async def find(self, person_id: str, query: str, *, limit: int, exclude: str | None = None) -> list[Passage]:
        hits = await self._conversations.search(person_id, query, limit=_WIDER * limit, exclude=exclude)
        found = [
            Passage(
                source=MESSAGES,
                id=hit.message_id,
                title=hit.conversation_title,
                text=hit.snippet,
                when=hit.created_at,
                role="user" if hit.role == "user" else "assistant",
                reference=hit.conversation_id,
            )
            for hit in hits
        ]
        return sort(query, found)[:limit]


class FactSource:
    """What is remembered of a person; an empty query finds the newest."""

    name = FACTS

    def __init__(self, facts: FactFinder) -> None:
        self._facts = facts

    async def find(
        self,
        person_id: str,
        query: str,
        *,
        limit: int,
        exclude: str | None = None,  # noqa: ARG002 - a fact belongs to no conversation
    ) -> list[Passage]:
        return [
            Passage(
                source=FACTS,
                id=fact.id,
                title="",
                text=mark(fact.text, query),
                score=score,
                when=fact.created_at,
                reference=fact.source_message_id,
            )
            for fact, score in await self._facts.find(person_id, query, limit=limit)
        ]


class ManualSource:
    """The manual of the house, the same for everybody; a long section is cut."""

    name = MANUAL

    def __init__(self, manual: Manual) -> None:
        self._manual = manual

    async def find(
        self,
        person_id: str,  # noqa: ARG002
        query: str,
        *,
        limit: int,
        exclude: str | None = None,  # noqa: ARG002
    ) -> list[Passage]:
        # The first search reads every page.
        sections = await run_async(self._manual.search, query, limit)
        return [
            Passage(
                source=MANUAL,
                id=section.source,
                title=section.title,
                text=mark(section.text[:_LONGEST_SECTION], query),
            )
            for section in sections
        ]


def sort(query: str, found: Sequence[Passage]) -> list[Passage]:
    """The best first by one measure, whatever database chose them. Those that hold only words like the ones of `query`
    come last and stay as they stand."""
    matches = LexicalIndex(passage.text for passage in found).search(query, len(found))
    best = [structs.replace(found[match.position], score=match.score) for match in matches]
    matched = {match.position for match in matches}
    alike = [passage for position, passage in enumerate(found) if position not in matched]
    return sorted(best, key=precedence) + alike
