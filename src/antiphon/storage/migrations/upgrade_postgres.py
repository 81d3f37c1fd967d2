"""Runs Alembic on a PostgreSQL database: it is synchronous, asyncpg is not, and SQLAlchemy joins them."""

from functools import partial

from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from antiphon.storage.config import DatabaseSettings
from antiphon.storage.migrations.postgres import LOCK, LONGEST
from antiphon.storage.migrations.upgrade import move
from antiphon.storage.postgres.connection import connect


async def run_postgres_migrations(settings: DatabaseSettings, *, to: str = "head") -> None:
    """Brings a PostgreSQL database to the revision `to` in one transaction, on a connection of its own."""
    patient = settings.model_copy(update={"answer_seconds": LONGEST})
    opened = partial(connect, patient, name="antiphon migrate")
    engine = create_async_engine("postgresql+asyncpg://", async_creator=opened, poolclass=NullPool)
    async with engine.begin() as connection:
        await connection.exec_driver_sql(LOCK)
        await connection.run_sync(move, to)
