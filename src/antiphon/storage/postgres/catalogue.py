"""PostgreSQL's statements: numbered parameters, and whether a statement only reads."""

from functools import cache
from typing import NamedTuple

from antiphon.storage.sql.catalogue import statements

_PARAMETERS = "-- parameters:"


class Statement(NamedTuple):
    """`parameters` are the names of $1, $2 …; `reads` means that it neither changes nor locks anything."""

    sql: str
    parameters: tuple[str, ...]
    reads: bool


@cache
def catalogue(*, similar: bool, vectors: bool) -> dict[str, Statement]:
    """Name to statement; `similar` with those that need pg_trgm, `vectors` with those that need pgvector."""
    names = ["statements.sql", "nodes.sql", "search.sql"]
    names += ["similar.sql"] * similar + ["vectors.sql"] * vectors
    return {name: _parsed(text) for name, text in statements("antiphon.storage.postgres", *names).items()}


def _parsed(text: str) -> Statement:
    first, _, sql = text.partition("\n")
    reads = sql.startswith(("SELECT", "WITH")) and " FOR UPDATE" not in sql
    return Statement(sql, tuple(first.removeprefix(_PARAMETERS).split()), reads)
