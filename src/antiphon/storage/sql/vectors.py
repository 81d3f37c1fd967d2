"""Vectors of facts."""

from collections.abc import Sequence

from antiphon.domain import now
from antiphon.storage.digest import digest_of
from antiphon.storage.facts import Fact
from antiphon.storage.sql.records import fact_of, micros
from antiphon.storage.sql.unit import Database, Unit, many, sure


class SqlVectors:
    """`VectorStore` on any SQL database, which compares nothing itself."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def missing(self, model: str, dimension: int, *, limit: int) -> list[Fact]:
        return await self._database.read(_missing, model, dimension, limit)

    async def put(self, model: str, dimension: int, vectors: Sequence[tuple[Fact, bytes]]) -> None:
        await self._database.write(_put, model, dimension, vectors, micros(now()))

    async def of(self, person_id: str, model: str, dimension: int, *, limit: int) -> list[tuple[Fact, bytes]]:
        return await self._database.read(_of, person_id, model, dimension, limit)

    async def mark(self, person_id: str, model: str, dimension: int) -> tuple[int, int]:
        return await self._database.read(_mark, person_id, model, dimension)

    async def nearest(
        self,
        person_id: str,  # noqa: ARG002 - nothing is compared
        model: str,  # noqa: ARG002
        vector: bytes,  # noqa: ARG002
        *,
        limit: int,  # noqa: ARG002
    ) -> list[tuple[Fact, float]] | None:
        return None

    async def settle(self, *, limit: int) -> int:  # noqa: ARG002 - nothing is to be readied
        return 0


def _missing(model: str, dimension: int, limit: int) -> Unit[list[Fact]]:
    rows = yield from many("vector_missing", model=model, dimension=dimension, limit=limit)
    return [fact_of(row) for row in rows]


def _put(model: str, dimension: int, vectors: Sequence[tuple[Fact, bytes]], made_at: int) -> Unit[None]:
    # In one order, so that two processes that do this at once do not wait for each other.
    for fact, vector in sorted(vectors, key=lambda pair: pair[0].id):
        yield "vector_drop", {"id": fact.id}
        kind = {"model": model, "dimension": dimension, "vector": vector, "made_at": made_at}
        yield "vector_add", kind | {"id": fact.id, "digest": digest_of(fact.text)}


def _of(person_id: str, model: str, dimension: int, limit: int) -> Unit[list[tuple[Fact, bytes]]]:
    rows = yield from many("vector_list", person_id=person_id, model=model, dimension=dimension, limit=limit)
    return [(fact_of(row), bytes(row[-1])) for row in rows]


def _mark(person_id: str, model: str, dimension: int) -> Unit[tuple[int, int]]:
    row = yield from sure("vector_mark", person_id=person_id, model=model, dimension=dimension)
    return int(row[0]), int(row[1])
