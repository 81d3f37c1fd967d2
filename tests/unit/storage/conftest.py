"""Stores on real files."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from antiphon.storage.config import DatabaseSettings
from antiphon.storage.sqlite.store import SqliteStore


@pytest.fixture
def database_settings(tmp_path: Path) -> DatabaseSettings:
    return DatabaseSettings(url=f"sqlite:///{tmp_path}/antiphon.db", busy_seconds=0.05)


@pytest.fixture
async def store(database_settings: DatabaseSettings) -> AsyncIterator[SqliteStore]:
    made = SqliteStore(database_settings)
    await made.start()
    yield made
    await made.stop()
