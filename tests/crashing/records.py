"""What a database holds after a death, read by somebody who changes nothing about it."""

import asyncio
import shutil
import sqlite3
from pathlib import Path
from typing import Any, Protocol

import asyncpg

from tests.serving import LONGEST

Rows = list[tuple[Any, ...]]


class Records(Protocol):
    """`url` is the database in the settings."""

    url: str

    async def read(self, *queries: str) -> list[Rows]:
        """The rows of each query."""
        ...


class SqliteRecords:
    """Reads a copy, so that what the dead process left is mended by the next one and not by the reader."""

    def __init__(self, folder: Path) -> None:
        self.url = f"sqlite:///{folder}/data/antiphon.db"
        self._data = folder / "data"
        self._copy = folder / "copy"

    async def read(self, *queries: str) -> list[Rows]:
        shutil.copytree(self._data, self._copy, dirs_exist_ok=True)
        database = sqlite3.connect(self._copy / "antiphon.db")
        try:
            assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            return [database.execute(query).fetchall() for query in queries]
        finally:
            database.close()
            shutil.rmtree(self._copy)


class PostgresRecords:
    """Waits until the server has noticed the death: what was on its way to it is then done, or never will be."""

    _LIVING = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid != pg_backend_pid()"

    def __init__(self, url: str) -> None:
        self.url = url

    async def read(self, *queries: str) -> list[Rows]:
        link = await asyncpg.connect(self.url, timeout=LONGEST, command_timeout=LONGEST)
        try:
            async with asyncio.timeout(LONGEST):
                while await link.fetchval(self._LIVING):
                    await asyncio.sleep(0.002)
            return [[tuple(row) for row in await link.fetch(query)] for query in queries]
        finally:
            await link.close()
