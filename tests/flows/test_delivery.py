"""Replies to a platform that is not idempotent: in order, tried again, given up, and never sent twice after a crash."""

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable, Mapping
from itertools import count
from typing import Any

import pytest

from antiphon.adapters.base import Capabilities, Deliver
from antiphon.conversation import outbox
from antiphon.domain import ChannelMessage, Message, Target
from antiphon.errors import AdapterError, ServiceError, ValidationError
from antiphon.workspace import Workspace
from tests.flows.conftest import Serving
from tests.serving import LONGEST

Script = Callable[[Target, Message, int], Awaitable[str | None]]


class Pigeons:
    """A platform by letter. `script` is asked for every send, with the number of the attempt from 1."""

    name = "pigeons"
    capabilities = Capabilities()

    def __init__(self, script: Script | None = None) -> None:
        self.script = script
        self.deliver: Deliver | None = None
        self.sent: list[tuple[str, str]] = []
        self.tried: list[str] = []
        self._keys = count(1)
        self._arrived = asyncio.Event()

    async def start(self, deliver: Deliver) -> None:
        self.deliver = deliver

    async def stop(self) -> None:
        self.deliver = None

    def parse_message(self, raw: Mapping[str, Any]) -> ChannelMessage:
        return ChannelMessage(
            adapter=self.name, place=raw["place"], account="ada", sender="Ada", key=raw["key"], text=raw["text"]
        )

    async def send_message(self, target: Target, message: Message) -> str | None:
        self.tried.append(message.id)
        if self.script is not None:
            await self.script(target, message, self.tried.count(message.id))
        self.sent.append((target.place, message.text))
        self._arrived.set()
        return f"letter-{len(self.sent)}"

    async def receive(self, place: str, text: str, key: str | None = None) -> Any:
        """A message arrives from the platform."""
        assert self.deliver is not None
        raw = {"place": place, "text": text, "key": key or str(next(self._keys))}
        return await self.deliver(self.parse_message(raw))

    async def arrived(self, number: int) -> list[tuple[str, str]]:
        """What was sent, once there are so many."""
        async with asyncio.timeout(LONGEST):
            while len(self.sent) < number:
                self._arrived.clear()
                await self._arrived.wait()
        return self.sent


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "FIRST_PAUSE", 0.001)


async def states(workspace: Workspace) -> list[tuple[Any, ...]]:
    """Every delivery as the database has it."""

    def read() -> Any:
        path = workspace.config.database.url.removeprefix("sqlite:///")
        database = sqlite3.connect(path)
        try:
            return database.execute("SELECT state, attempts, error, platform_id FROM outbox ORDER BY id").fetchall()
        finally:
            database.close()

    found: list[tuple[Any, ...]] = await asyncio.to_thread(read)
    return found


async def test_a_message_from_a_platform_is_answered_there(house: Serving) -> None:
    pigeons = Pigeons()
    async with house(adapters={"pigeons": pigeons}) as workspace:
        first = await pigeons.receive("loft", "!echo coo", "k1")
        again = await pigeons.receive("loft", "!echo coo", "k1")
        assert (again.turn_id, again.duplicate) == (first.turn_id, True)
        assert await pigeons.arrived(1) == [("loft", "coo")]
        await pigeons.receive("loft", "/model")
        await pigeons.receive("tower", "!echo up here")
        sent = await pigeons.arrived(3)
        assert ("tower", "up here") in sent
        assert (await pigeons.receive("tower", "!echo same", "k9")).conversation_id != first.conversation_id
        await pigeons.arrived(4)
    assert await states(workspace) == [("delivered", 1, None, f"letter-{number}") for number in range(1, 5)]
    with pytest.raises(ServiceError, match="stopping or has just started"):
        await workspace.deliver(pigeons.parse_message({"place": "loft", "text": "late", "key": "z"}))


async def test_an_empty_letter_is_returned(house: Serving) -> None:
    pigeons = Pigeons()
    async with house(adapters={"pigeons": pigeons}):
        with pytest.raises(ValidationError, match="An empty message has no answer"):
            await pigeons.receive("loft", " ")


async def test_a_send_that_fails_is_tried_again_and_holds_up_only_its_own_place(house: Serving) -> None:
    tower_first = asyncio.Event()

    async def script(target: Target, message: Message, attempt: int) -> str | None:
        if target.place == "loft" and attempt < 4:
            if attempt == 3:
                await tower_first.wait()
            raise AdapterError("The loft is closed.", retryable=True)
        return None

    pigeons = Pigeons(script)
    async with house(adapters={"pigeons": pigeons}) as workspace:
        await pigeons.receive("loft", "!echo one")
        await pigeons.receive("loft", "!echo two")
        await pigeons.receive("tower", "!echo elsewhere")
        await pigeons.arrived(1)
        assert pigeons.sent == [("tower", "elsewhere")]
        tower_first.set()
        assert await pigeons.arrived(3) == [("tower", "elsewhere"), ("loft", "one"), ("loft", "two")]
    assert sorted(state[:2] for state in await states(workspace)) == [("delivered", 1)] + [("delivered", 4)] * 2


async def test_a_platform_that_never_takes_it_is_given_up_and_the_next_reply_goes_on(house: Serving) -> None:
    async def script(target: Target, message: Message, attempt: int) -> str | None:
        if message.text == "one":
            raise AdapterError("The loft is closed.", retryable=True)
        if message.text == "two":
            raise AdapterError("No such loft.")
        return None

    pigeons = Pigeons(script)
    async with house(adapters={"pigeons": pigeons}) as workspace:
        for text in ("one", "two", "three"):
            await pigeons.receive("loft", f"!echo {text}")
        assert await pigeons.arrived(1) == [("loft", "three")]
    one, two, three = await states(workspace)
    assert one[:3] == ("failed", outbox.ATTEMPTS, "The loft is closed.")
    assert two[:3] == ("failed", 1, "No such loft.")
    assert three[0] == "delivered"


async def test_what_waited_at_a_stop_is_sent_by_the_next_start(house: Serving) -> None:
    async def closed(target: Target, message: Message, attempt: int) -> str | None:
        raise AdapterError("The loft is closed.", retryable=True)

    first = Pigeons(closed)
    async with house(adapters={"pigeons": first}) as workspace:
        outbox.FIRST_PAUSE = 60.0
        await first.receive("loft", "!echo one")
        await first.receive("loft", "!echo two")
        async with asyncio.timeout(LONGEST):
            while len(await states(workspace)) < 2 or not first.tried:
                await asyncio.sleep(0.001)
    due = [state[0] for state in await states(workspace)]
    assert due == ["pending", "pending"]
    async with house():
        pass
    second = Pigeons()
    async with house(adapters={"pigeons": second}) as workspace:
        pending = await workspace.store.outbox.pending()
        assert [delivery.message.text for delivery in pending] == ["one", "two"]


async def test_a_send_in_flight_at_a_crash_is_not_repeated(house: Serving) -> None:
    """Nobody knows whether the letter got out, so it is marked and not sent a second time."""
    on_its_way = asyncio.Event()

    async def slow(target: Target, message: Message, attempt: int) -> str | None:
        on_its_way.set()
        await asyncio.Event().wait()
        return None

    first = Pigeons(slow)
    async with house(adapters={"pigeons": first}):
        await first.receive("loft", "!echo one")
        async with asyncio.timeout(LONGEST):
            await on_its_way.wait()
    second = Pigeons()
    async with house(adapters={"pigeons": second}) as workspace:
        await second.receive("loft", "!echo two", "another")
        assert await second.arrived(1) == [("loft", "two")]
    assert [state[:2] for state in await states(workspace)] == [("maybe_sent", 1), ("delivered", 1)]


async def test_a_platform_that_is_no_longer_configured(house: Serving) -> None:
    gate = asyncio.Event()

    async def closed(target: Target, message: Message, attempt: int) -> str | None:
        gate.set()
        raise AdapterError("The loft is closed.", retryable=True)

    first = Pigeons(closed)
    async with house(adapters={"pigeons": first}):
        outbox.FIRST_PAUSE = 0.05
        await first.receive("loft", "!echo one")
        await gate.wait()
    async with house() as workspace:
        async with asyncio.timeout(LONGEST):
            while (await states(workspace))[0][0] != "failed":
                await asyncio.sleep(0.001)
    assert (await states(workspace))[0][2] == "The adapter pigeons is not configured here."
