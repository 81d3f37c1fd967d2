"""`antiphon migrate`: which schema a database has, and the way to another one."""

import sys
from pathlib import Path

from antiphon.errors import ConfigError
from antiphon.runtime.loops import run
from antiphon.settings.config import Config
from antiphon.storage.config import DatabaseSettings
from antiphon.storage.migrations.base import Migrator
from antiphon.storage.migrations.current import revisions
from antiphon.storage.open import open_claim, open_migrator
from antiphon.telemetry.logs import setup_logging


def migrate(path: Path | None, *, to: str | None, check: bool, sql: bool, debug: bool) -> None:
    """Exits with 1 when `check` finds something to do."""
    setup_logging("DEBUG" if debug else "WARNING", "console")
    settings = Config.load(path).database
    known = revisions()
    target = to or known[-1]
    if target not in known:
        raise ConfigError(f"There is no schema {target}; this version knows {', '.join(known)}.")
    done = run(_migrate(settings, target, check=check, sql=sql))
    sys.exit(0 if done else 1)


async def _migrate(settings: DatabaseSettings, target: str, *, check: bool, sql: bool) -> bool:
    """Whether the database has the schema `target` now, or nobody asked for that."""
    migrator = open_migrator(settings)
    found = await migrator.found()
    if sql:
        sys.stdout.write("" if found == target else migrator.sql(found, target))
        return True
    sys.stdout.write(f"Database  {settings.place}\nSchema    {found or 'none, it is empty'}\n")
    if found == target:
        sys.stdout.write("Nothing is to be done.\n")
        return True
    if check:
        sys.stdout.write(f"Needed    {target}: run `antiphon migrate`.\n")
        return False
    await _move(settings, migrator, target)
    sys.stdout.write(f"Now       {target}\n")
    return True


async def _move(settings: DatabaseSettings, migrator: Migrator, target: str) -> None:
    """While nobody answers from the database: a schema does not change under a process that uses it."""
    claim = open_claim(settings)
    await claim.take()
    try:
        await migrator.move(target)
    finally:
        await claim.release()
