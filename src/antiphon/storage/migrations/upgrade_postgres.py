"""Runs Alembic on a PostgreSQL database: it is synchronous, asyncpg is not, and SQLAlchemy joins them."""

from functools import partial

from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from antiphon.storage.config import DatabaseSettings
from antiphon.storage.migrations.postgres import LOCK, LONGEST, version
from antiphon.storage.migrations.upgrade import move, sql_of_migrations
from antiphon.storage.postgres.connection import BROKEN, checked_url, close, connect
from antiphon.storage.postgres.faults import translated


async def run_postgres_migrations(settings: DatabaseSettings, *, to: str = "head") -> None:
    """Brings a PostgreSQL database to the revision `to` in one transaction, on a connection of its own.

    Raises `ServiceError`."""
    patient = settings.model_copy(update={"answer_seconds": LONGEST})
    opened = partial(connect, patient, name="antiphon migrate")
    engine = create_async_engine("postgresql+asyncpg://", async_creator=opened, poolclass=NullPool)
    try:
        async with engine.begin() as connection:
            await connection.exec_driver_sql(LOCK)
            await connection.run_sync(move, to)
    except DBAPIError as error:
        cause = error.orig.__cause__ if error.orig is not None else None
        raise translated(cause if isinstance(cause, Exception) else error, settings.place) from error


class PostgresMigrator:
    """The schema of a PostgreSQL database."""

    def __init__(self, settings: DatabaseSettings) -> None:
        checked_url(settings)
        self._settings = settings

    async def found(self) -> str | None:
        link = await connect(self._settings, patient=False)
        try:
            return await version(link, self._settings.place)
        except BROKEN as error:
            raise translated(error, self._settings.place) from error
        finally:
            await close(link)

    async def move(self, to: str) -> None:
        await run_postgres_migrations(self._settings, to=to)

    def sql(self, since: str | None, to: str) -> str:
        return sql_of_migrations("postgresql", since or "base", to)
