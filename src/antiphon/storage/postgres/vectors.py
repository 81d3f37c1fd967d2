"""Vectors compared by the server, where it has pgvector (https://github.com/pgvector/pgvector): exactly, without an
approximate index.

What it compares is a copy in a table of its own, made behind the writing. So a dump that is restored on a server
without pgvector lacks that table alone, and a process that knows nothing of it may write at the same time.
"""

from array import array
from collections.abc import Awaitable, Sequence
from math import isfinite
from typing import TypeVar

import asyncpg

from antiphon.errors import ServiceError
from antiphon.runtime.threads import run_async
from antiphon.storage.facts import Fact
from antiphon.storage.migrations.postgres import LOCK
from antiphon.storage.postgres.connection import Link
from antiphon.storage.sql.records import fact_of
from antiphon.storage.sql.unit import Row, Unit, many, run
from antiphon.storage.sql.vectors import SqlVectors
from antiphon.telemetry.logs import get_logger

T = TypeVar("T")

AVAILABLE = "SELECT EXISTS (SELECT FROM pg_available_extensions WHERE name = 'vector')"
"""Whether the server has pgvector for those who create it."""

_MADE = """
SELECT to_regtype('vector') IS NOT NULL AND EXISTS (
    SELECT FROM pg_attribute WHERE attrelid = to_regclass('embeddings') AND attname = 'embedding' AND NOT attisdropped
)
"""
_COMPARE = "SELECT '[1]'::vector <#> '[1]'::vector"  # the catalogue knows it even when its library is gone
_MAKE = """
CREATE EXTENSION IF NOT EXISTS vector;
DROP TABLE IF EXISTS embeddings;  -- without its column, since the extension was dropped
CREATE TABLE embeddings (
    number BIGINT PRIMARY KEY REFERENCES vectors (number) ON DELETE CASCADE,
    embedding vector NOT NULL
)
"""
_WIDEST = 4 * 16_000
"""Bytes of a vector: pgvector holds 16,000 dimensions."""

_PATIENCE = "SET LOCAL lock_timeout = '5s'"
_LOST = (
    asyncpg.UndefinedTableError,
    asyncpg.UndefinedColumnError,
    asyncpg.UndefinedObjectError,
    asyncpg.UndefinedFunctionError,
    asyncpg.UndefinedFileError,
)
"""Extension, table or library are gone while this process runs."""

log = get_logger(__name__)


async def compares(link: Link) -> bool:
    """Whether the database is ready to compare vectors now; changes nothing."""
    try:
        return bool(await link.fetchval(_MADE)) and await link.fetchval(_COMPARE) is not None
    except asyncpg.PostgresError:
        return False


async def made_ready(link: Link) -> bool:
    """Makes the database compare vectors where the server and this user's rights allow it; says whether it does."""
    if not await link.fetchval(AVAILABLE):
        return False
    try:
        async with link.transaction():
            await link.execute(_PATIENCE)
            await link.execute(LOCK)
            if not await link.fetchval(_MADE):
                await link.execute(_MAKE)
    except asyncpg.PostgresError as error:
        log.info("store.pgvector_unused", code=error.sqlstate)
    return await compares(link)


class PostgresVectors(SqlVectors):
    """`VectorStore` on PostgreSQL; `comparing` says whether the server compares, and ends when it no longer can."""

    comparing = False

    async def nearest(
        self, person_id: str, model: str, vector: bytes, *, limit: int
    ) -> list[tuple[Fact, float]] | None:
        if not self.comparing or len(vector) > _WIDEST:
            return None
        return await self._or_lost(self._database.read(_nearest, person_id, model, vector, limit))

    async def settle(self, *, limit: int) -> int:
        if not self.comparing:
            return 0
        rows = await self._or_lost(self._database.read(many, "vector_unsettled", limit=limit))
        if not rows:
            return 0
        texts = await run_async(_texts, rows)
        values = {"numbers": [row[0] for row in rows], "made_ats": [row[1] for row in rows], "embeddings": texts}
        await self._or_lost(self._database.write(run, "vector_settle", **values))
        return len(rows)

    async def _or_lost(self, answer: Awaitable[T]) -> T | None:
        try:
            return await answer
        except ServiceError as error:
            if not isinstance(error.__cause__, _LOST):
                raise
            self.comparing = False
            log.warning("store.pgvector_lost", code=error.__cause__.sqlstate)
            return None


def _nearest(person_id: str, model: str, vector: bytes, limit: int) -> Unit[list[tuple[Fact, float]] | None]:
    values = array("f", vector)
    kind = {"model": model, "dimension": len(values), "vector": _text(values)}
    rows = yield from many("vector_nearest", person_id=person_id, **kind, limit=limit)
    if rows and rows[0][-1] is None:
        return None  # not all of them are settled, and those come first
    return [(fact_of(row), float(row[-1])) for row in rows]


def _texts(rows: Sequence[Row]) -> list[str]:
    return [_text(array("f", bytes(row[2]))) for row in rows]


def _text(values: "array[float]") -> str:
    """As pgvector reads it. It refuses what is no number; nothing is near to such a vector, nor to one of zeros."""
    return str(values.tolist() if all(map(isfinite, values)) else [0.0] * len(values))
