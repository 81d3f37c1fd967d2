"""Is a database what this version needs? Cheap when it is: Alembic is imported only for a real upgrade."""

import sqlite3
from collections.abc import Iterator
from importlib import import_module
from importlib.resources import files

from antiphon.errors import ServiceError
from antiphon.storage.config import DatabaseSettings

_BEFORE_ANY = "base"


def revisions() -> list[str]:
    """The revisions this version knows, oldest first: the numbers in the names of `versions/v<number>_<what>.py`."""
    names = (entry.name for entry in files("antiphon.storage.migrations").joinpath("versions").iterdir())
    return sorted(name[1:5] for name in names if name.startswith("v") and name.endswith(".py"))


def judged(tables: set[str], stamp: str | None, place: str) -> str | None:
    """The revision of a database with these tables, None when it is empty; `stamp` is what `alembic_version` holds.

    Raises `ServiceError` when it is not ours or of a newer version."""
    if not tables:
        return None
    if "alembic_version" not in tables or (stamp and "conversations" not in tables):
        raise _unfit(place, "holds the data of another program: name another one in database.url.")
    found = stamp or _BEFORE_ANY
    if found not in (known := [_BEFORE_ANY, *revisions()]):
        raise _unfit(
            place,
            f"was written by a newer version of Antiphon (its schema is {found}, this one knows {known[-1]}): update "
            "Antiphon, or name another one in database.url.",
        )
    return found


def must_migrate(found: str | None, settings: DatabaseSettings) -> bool:
    """Whether a start has to bring a database up to date. Raises `ServiceError` when the settings leave that to a
    person."""
    if found == revisions()[-1]:
        return False
    if settings.migrate == "check":
        state = "is empty" if found is None else f"has the schema {found}"
        raise _unfit(
            settings.place,
            f"{state}, and this version needs {revisions()[-1]}: run `antiphon migrate`, or set database.migrate to "
            "auto.",
        )
    return True


def _unfit(place: str, why: str) -> ServiceError:
    return ServiceError(f"The database {place} {why}", public=f"The database {why}")


def bring_up_to_date(connection: sqlite3.Connection, settings: DatabaseSettings) -> None:
    """Makes or upgrades the schema of a SQLite database in one transaction, as the settings want it."""
    found = version(connection, settings.place)
    if not must_migrate(found, settings):
        return
    if found is None:
        _make(connection, settings.place)
    else:
        import_module("antiphon.storage.migrations.upgrade").run_migrations(connection)


def version(connection: sqlite3.Connection, place: str) -> str | None:
    """The revision of a SQLite database, None when it is empty."""
    tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    row = None
    if "alembic_version" in tables:
        row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    return judged(tables, str(row[0]) if row else None, place)


def _make(connection: sqlite3.Connection, place: str) -> None:
    """An empty database gets the schema in one go, unless another process was faster."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        if version(connection, place) is None:
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
