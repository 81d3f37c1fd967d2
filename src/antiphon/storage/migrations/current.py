"""Is a SQLite database what this version needs? Cheap when it is: Alembic is imported only for a real upgrade."""

import sqlite3
from collections.abc import Iterator
from importlib import import_module
from importlib.resources import files

from antiphon.errors import ServiceError

_BEFORE_ANY = "base"


def revisions() -> list[str]:
    """The revisions this version knows, oldest first: the numbers in the names of `versions/v<number>_<what>.py`."""
    names = (entry.name for entry in files("antiphon.storage.migrations").joinpath("versions").iterdir())
    return sorted(name[1:5] for name in names if name.startswith("v") and name.endswith(".py"))


def bring_up_to_date(connection: sqlite3.Connection, place: str) -> None:
    """Makes or upgrades the schema in one transaction; refuses what it does not know with `ServiceError`."""
    found = _version(connection, place)
    if found is None:
        _make(connection, place)
    elif found != revisions()[-1]:
        import_module("antiphon.storage.migrations.upgrade").run_migrations(connection)


def _version(connection: sqlite3.Connection, place: str) -> str | None:
    """The revision of a database, None when it is empty."""
    tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if not tables:
        return None
    if "alembic_version" not in tables:
        raise ServiceError(f"The file {place} holds the data of another program: name another one in database.url.")
    row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    found = str(row[0]) if row else _BEFORE_ANY
    if found not in (known := [_BEFORE_ANY, *revisions()]):
        raise ServiceError(
            f"The database {place} was written by a newer version of Antiphon (its schema is {found}, this one knows "
            f"{known[-1]}): update Antiphon, or name another file in database.url."
        )
    return found


def _make(connection: sqlite3.Connection, place: str) -> None:
    """An empty database gets the schema in one go, unless another process was faster."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        if _version(connection, place) is None:
            for statement in _statements(files("antiphon.storage.sqlite").joinpath("schema.sql").read_text("utf-8")):
                connection.execute(statement)
        connection.execute("COMMIT")
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")


def _statements(script: str) -> Iterator[str]:
    """A script cut where SQLite says that a statement ends (triggers hold semicolons); `executescript` would commit."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
