"""Stores on real files."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from antiphon.domain import Approval, Pause, new_id, now
from antiphon.storage.config import DatabaseSettings
from antiphon.storage.sql.records import dump
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


@pytest.fixture
def two_asked() -> tuple[Approval, Approval]:
    """What the turn t1 waits for."""
    first, second = (
        Approval(
            id=new_id(), turn_id="t1", conversation_id="c", person_id="ann", call_id="1", name="pay",
            arguments='{"id":"x"}', asked_at=now(), expires_at=now(),
        )
        for _ in range(2)
    )  # fmt: skip
    return first, second


@pytest.fixture
def pauses(two_asked: tuple[Approval, Approval]) -> dict[str, str]:
    """As the database holds them, by the turn: one that waits for `two_asked`, and one that is damaged."""
    return {"t1": dump(Pause(approvals=two_asked, parts=(), steps=1)), "t2": '{"value'}
