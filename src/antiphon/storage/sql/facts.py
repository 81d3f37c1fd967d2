"""What is remembered of people."""

from antiphon.domain import new_id, now
from antiphon.errors import ValidationError
from antiphon.storage.digest import digest_of
from antiphon.storage.facts import IMPORTANCE, Fact, Kept
from antiphon.storage.sql.records import fact_of, micros, storable
from antiphon.storage.sql.unit import Database, Unit, many, one
from antiphon.storage.sql.words import pairs_of, trigrams_of, words_of


class SqlFacts:
    """`FactStore` on any SQL database."""

    def __init__(self, database: Database) -> None:
        self._database = database

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
        fact = Fact(
            id=new_id(),
            person_id=person_id,
            text=storable(text),
            created_at=now(),
            source_message_id=source_message_id,
            assistant=assistant,
            importance=importance,
            extracted=extracted,
        )
        return await self._database.write(_add, fact, most, instead_of)

    async def get(self, person_id: str, fact_id: str) -> Fact | None:
        return await self._database.read(_get, person_id, fact_id)

    async def search(self, person_id: str, query: str, *, limit: int = 200) -> list[Fact]:
        words = words_of(query)
        return await self._database.read(_search, person_id, words, limit) if words else []

    async def edit(
        self, person_id: str, fact_id: str, *, text: str | None = None, importance: int | None = None
    ) -> Fact | None:
        return await self._database.write(
            _edit, person_id, fact_id, None if text is None else storable(text), importance
        )

    async def delete(self, person_id: str, fact_id: str) -> bool:
        return await self._database.write(_delete, person_id, fact_id)

    async def clear(self, person_id: str) -> int:
        return await self._database.write(_clear, person_id)

    async def list(self, person_id: str, *, limit: int = 100) -> list[Fact]:
        return await self._database.read(_list, person_id, limit)


def _add(fact: Fact, most: int | None, instead_of: str | None) -> Unit[Kept]:
    digest = digest_of(fact.text)
    known = yield from one("fact_by_digest", person_id=fact.person_id, digest=digest)
    if known is not None:
        there = fact_of(known)
        return Kept(fact=there, new=there.id == fact.id)  # stored by this very call, before its connection broke
    replaced = None
    if instead_of is not None:
        replaced = yield from one("fact_delete", person_id=fact.person_id, id=instead_of)
    yield (
        "fact_add",
        {
            "id": fact.id,
            "person_id": fact.person_id,
            "text": fact.text,
            "digest": digest,
            "source_message_id": fact.source_message_id,
            "assistant": fact.assistant,
            "importance": fact.importance,
            "extracted": fact.extracted,
            "created_at": micros(fact.created_at),
        },
    )
    dropped = (yield from _make_room(fact, most)) if most is not None else ()
    return Kept(fact=fact, new=True, replaced=fact_of(replaced) if replaced else None, dropped=dropped)


def _make_room(fact: Fact, most: int) -> Unit[tuple[Fact, ...]]:
    row = yield from one("fact_count", person_id=fact.person_id)
    too_many = int(row[0]) - most if row else 0
    if too_many <= 0:
        return ()
    kept = "" if fact.extracted else fact.id
    rows = yield from many("fact_drop", person_id=fact.person_id, kept=kept, too_many=too_many)
    return tuple(fact_of(row) for row in rows)


def _get(person_id: str, fact_id: str) -> Unit[Fact | None]:
    row = yield from one("fact_by_id", person_id=person_id, id=fact_id)
    return fact_of(row) if row else None


def _search(person_id: str, words: str, limit: int) -> Unit[list[Fact]]:
    rows = list((yield from many("search_facts", person_id=person_id, words=words, limit=limit)))
    trigrams, pairs = trigrams_of(words), pairs_of(words)
    if pairs or (trigrams and not rows):
        rows += yield from many("similar_facts", person_id=person_id, trigrams=trigrams, pairs=pairs, limit=limit)
    return [fact_of(row) for row in {row[0]: row for row in rows}.values()]


def _list(person_id: str, limit: int) -> Unit[list[Fact]]:
    return [fact_of(row) for row in (yield from many("fact_list", person_id=person_id, limit=limit))]


def _edit(person_id: str, fact_id: str, text: str | None, importance: int | None) -> Unit[Fact | None]:
    row = yield from one("fact_by_id", person_id=person_id, id=fact_id)
    if row is None:
        return None
    before = fact_of(row)
    text = before.text if text is None else text
    digest = digest_of(text)
    same = yield from one("fact_by_digest", person_id=person_id, digest=digest)
    if same is not None and same[0] != fact_id:
        raise ValidationError("This is remembered already, as another fact. Delete one of the two.")
    yield "vector_drop", {"id": fact_id}
    row = yield from one(
        "fact_change",
        person_id=person_id,
        id=fact_id,
        new_text=text,
        new_digest=digest,
        new_importance=before.importance if importance is None else importance,
    )
    return fact_of(row) if row else None


def _delete(person_id: str, fact_id: str) -> Unit[bool]:
    return (yield from one("fact_delete", person_id=person_id, id=fact_id)) is not None


def _clear(person_id: str) -> Unit[int]:
    return len((yield from many("fact_clear", person_id=person_id)))
