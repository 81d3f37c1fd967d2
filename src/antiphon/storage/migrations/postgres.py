"""The same question for a PostgreSQL database, where two processes may ask it at the same time."""

from importlib import import_module
from importlib.resources import files

from antiphon.storage.config import DatabaseSettings
from antiphon.storage.migrations.current import judged, must_migrate
from antiphon.storage.postgres.connection import BROKEN, Link
from antiphon.storage.postgres.faults import translated

LOCK = "SELECT pg_advisory_xact_lock(hashtext('antiphon.schema'))"
"""Whoever changes the schema has this, and who waited for it finds nothing left to do."""

LONGEST = 3600.0
"""Seconds that a change of the schema may take."""


async def bring_up_to_date(link: Link, settings: DatabaseSettings) -> None:
    """Makes or upgrades the schema in one transaction, as the settings want it. Raises `ServiceError`."""
    try:
        found = await version(link, settings.place)
        if not must_migrate(found, settings):
            return
        if found is None:
            await _make(link, settings.place)
        else:
            upgrade = import_module("antiphon.storage.migrations.upgrade_postgres")
            await upgrade.run_postgres_migrations(settings)
    except BROKEN as error:
        raise translated(error, settings.place) from error


async def version(link: Link, place: str) -> str | None:
    """The revision of a database, None when it is empty."""
    rows = await link.fetch("SELECT tablename FROM pg_tables WHERE schemaname = current_schema()")
    tables = {row[0] for row in rows}
    stamp = await link.fetchval("SELECT version_num FROM alembic_version") if "alembic_version" in tables else None
    return judged(tables, stamp, place)


async def _make(link: Link, place: str) -> None:
    """An empty database gets the schema in one go, unless another process was faster."""
    async with link.transaction():
        await link.execute(LOCK, timeout=LONGEST)
        if await version(link, place) is None:
            script = files("antiphon.storage.postgres").joinpath("schema.sql").read_text("utf-8")
            await link.execute(script, timeout=LONGEST)
