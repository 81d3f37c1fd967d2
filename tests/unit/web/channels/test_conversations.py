"""The list of conversations while it changes: nothing falls between reading and joining, and nothing piles up."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any, cast

import pytest
from websockets.asyncio.client import ClientConnection, connect

from antiphon.conversation.history import ConversationHistory
from antiphon.conversation.live import person_topic
from antiphon.domain import Conversation, Person, now
from antiphon.realtime.admission.connect import ConnectInfo
from antiphon.realtime.phoenix import Phoenix
from antiphon.realtime.pubsub import PubSub
from antiphon.telemetry.metrics import Metrics
from antiphon.web.channels.conversations import EARLY_LIMIT, ConversationsChannel
from tests.phoenix import configured

PERSON = Person(id="p1", name="Ann", created_at=now())


class SlowHistory:
    """Reads the list only when it is told to."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.may_answer = asyncio.Event()

    async def of(self, person: Person) -> list[Conversation]:
        self.asked.set()
        await self.may_answer.wait()
        return []


@pytest.fixture
async def history() -> SlowHistory:
    return SlowHistory()


@pytest.fixture
async def app(history: SlowHistory) -> AsyncIterator[Phoenix]:
    metrics = Metrics()
    app = Phoenix(configured(close_seconds=0.2), metrics=metrics, pubsub=PubSub(metrics=metrics))
    app.route("conversations", lambda: ConversationsChannel(cast("ConversationHistory", history)))

    @app.on_connect
    async def let_in(_: ConnectInfo) -> dict[str, Any]:
        return {"person": PERSON}

    await app.listen("127.0.0.1", 0)
    yield app
    history.may_answer.set()
    await app.stop()
    await app.pubsub.stop()


@pytest.fixture
async def joining(app: Phoenix, history: SlowHistory) -> AsyncIterator[ClientConnection]:
    """A client whose join waits for the list."""
    async with connect(f"ws://127.0.0.1:{app.port}/socket/websocket?vsn=2.0.0", proxy=None) as socket:
        await socket.send(json.dumps(["1", "1", "conversations", "phx_join", {}]))
        async with asyncio.timeout(5):
            await history.asked.wait()
        yield socket


async def test_what_changes_during_the_join_comes_behind_its_answer(
    app: Phoenix, history: SlowHistory, joining: ClientConnection
) -> None:
    for number in range(EARLY_LIMIT):
        app.pubsub.publish_now(person_topic(PERSON.id), ("deleted", {"id": str(number)}))
    history.may_answer.set()
    async with asyncio.timeout(5):
        heard = [json.loads(await joining.recv()) for _ in range(EARLY_LIMIT + 1)]
    assert heard[0][3:] == ["phx_reply", {"status": "ok", "response": {"conversations": []}}]
    assert [payload["id"] for *_, payload in heard[1:]] == [str(number) for number in range(EARLY_LIMIT)]


async def test_a_join_that_misses_too_much_is_told_to_come_back(app: Phoenix, joining: ClientConnection) -> None:
    for number in range(EARLY_LIMIT + 1):
        app.pubsub.publish_now(person_topic(PERSON.id), ("deleted", {"id": str(number)}))
    async with asyncio.timeout(5):
        await joining.wait_closed()
    assert joining.close_code == 1013
    assert app.members("conversations") == 0
    assert app.pubsub.publish_now(person_topic(PERSON.id), ("deleted", {"id": "x"})) == 0
