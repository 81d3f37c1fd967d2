"""A store on a real file, somebody who listens to the live topics, and a platform."""

from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from antiphon.adapters.base import Capabilities, Deliver
from antiphon.conversation.live import Live
from antiphon.domain import ChannelMessage, Message, Target
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


class Post:
    """A platform that takes everything, unless `trouble` is raised first."""

    name = "pigeons"

    def __init__(self, *, idempotent: bool = False, reads_store: bool = False) -> None:
        self.capabilities = Capabilities(idempotent=idempotent, reads_store=reads_store)
        self.sent: list[str] = []
        self.trouble: list[Exception] = []

    async def start(self, deliver: Deliver) -> None:
        """Nothing comes in."""

    async def stop(self) -> None:
        """Nothing to close."""

    def parse_message(self, raw: Mapping[str, Any]) -> ChannelMessage | None:
        return None

    async def send_message(self, target: Target, message: Message) -> str | None:
        if self.trouble:
            raise self.trouble.pop(0)
        self.sent.append(message.text)
        return None


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
