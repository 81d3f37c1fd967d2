"""Runs Alembic without a configuration file, on a connection that is given, or writes what it would run."""

import sqlite3
from contextlib import closing
from io import StringIO
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, create_engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import StaticPool

from antiphon.runtime.threads import run_async
from antiphon.storage.config import DatabaseSettings
from antiphon.storage.migrations.current import revisions, version
from antiphon.storage.sqlite.connection import connect, path_of, prepare
from antiphon.storage.sqlite.faults import translated


def config(connection: Connection | None = None) -> Config:
    """Alembic's configuration for our history; `env.py` works on `connection`."""
    made = Config()
    made.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    made.attributes["connection"] = connection
    return made


def sql_of_migrations(dialect: str, since: str, to: str) -> str:
    """What it takes to bring a database ("sqlite" or "postgresql") from one revision (or "base") to another, as SQL."""
    made = config()
    made.attributes["dialect"] = dialect
    made.output_buffer = StringIO()
    step = command.upgrade if _is_ahead(to, since) else command.downgrade
    step(made, f"{since}:{to}", sql=True)
    return made.output_buffer.getvalue()


def run_migrations(connection: sqlite3.Connection, *, to: str = "head") -> None:
    """Brings a SQLite database to the revision `to`, which may be behind its own; "base" is before any.

    All of it is one transaction, SQLite's DDL included; a process that waited for it finds nothing left to do.
    """
    engine = create_engine("sqlite://", creator=lambda: connection, poolclass=StaticPool)
    with engine.connect() as wrapped, wrapped.begin():
        wrapped.exec_driver_sql("BEGIN IMMEDIATE")  # sqlite3 itself would begin only at the first INSERT
        move(wrapped, to)


def move(connection: Connection, to: str) -> None:
    """Brings the database of `connection` to the revision `to`, within its transaction."""
    step = command.upgrade if _is_ahead(to, _revision(connection)) else command.downgrade
    step(config(connection), to)


def _revision(connection: Connection) -> str:
    return MigrationContext.configure(connection).get_current_revision() or "base"


def _is_ahead(to: str, since: str) -> bool:
    """Whether the revision `to` is the same as or later than `since`."""
    order = ["base", *revisions(), "head"]
    return order.index(to) >= order.index(since)


class SqliteMigrator:
    """The schema of a SQLite file."""

    def __init__(self, settings: DatabaseSettings) -> None:
        self._settings = settings
        self._path = path_of(settings.url)

    async def found(self) -> str | None:
        return await run_async(self._found)

    async def move(self, to: str) -> None:
        await run_async(self._move, to)

    def sql(self, since: str | None, to: str) -> str:
        return sql_of_migrations("sqlite", since or "base", to)

    def _found(self) -> str | None:
        if self._path is None or not self._path.exists():
            return None
        try:
            with closing(connect(self._path, self._settings, readonly=True)) as connection:
                return version(connection, self._settings.place)
        except sqlite3.Error as error:
            raise translated(error, self._settings.place) from error

    def _move(self, to: str) -> None:
        if self._path is not None:
            prepare(self._path)
        try:
            with closing(connect(self._path, self._settings)) as connection:
                run_migrations(connection, to=to)
        except (sqlite3.Error, DBAPIError) as error:
            raise translated(getattr(error, "orig", error), self._settings.place) from error
