"""A store on a real file, and somebody who listens to the live topics."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from antiphon.conversation.live import Live
from antiphon.domain import ChannelMessage
from antiphon.storage.base import Accepted, Store
from antiphon.storage.config import DatabaseSettings
from antiphon.storage.open import open_store


class Ear:
    """Hears what is told, in order, as (topic, event, payload)."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, str, Any]] = []
        self.live = Live(self.broadcast, self.publish)

    def broadcast(self, topic: str, event: str, payload: Any) -> None:
        self.heard.append((topic, event, payload))

    def publish(self, topic: str, change: tuple[str, Any]) -> None:
        self.heard.append((topic, *change))

    def of(self, event: str) -> list[Any]:
        return [payload for _, name, payload in self.heard if name == event]


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    made = open_store(DatabaseSettings(url=f"sqlite:///{tmp_path}/antiphon.db"))
    await made.start()
    yield made
    await made.stop()


@pytest.fixture
def ear() -> Ear:
    return Ear()


def letter(text: str = "hello", *, place: str = "loft", key: str = "1") -> ChannelMessage:
    """A message from a platform."""
    return ChannelMessage(adapter="pigeons", place=place, account="ada", sender="Ada", key=key, text=text)


async def asked(store: Store, text: str = "hello", **where: str) -> Accepted:
    """A question that is in the store."""
    return await store.inbox.accept(letter(text, **where), assistant="guide")
