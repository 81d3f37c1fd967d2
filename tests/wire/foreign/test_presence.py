"""Presence in the reference room, as the clients see it: that of JavaScript, and ours."""

import asyncio
from contextlib import AsyncExitStack
from typing import Any

import pytest

from antiphon.errors import ServiceError
from antiphon.realtime.client.options import ClientOptions
from antiphon.realtime.client.phoenix import PhoenixClient
from antiphon.realtime.client.presence import ClientPresence
from tests.rules import rule
from tests.wire.foreign.reference_server import ReferenceServer

VERSIONS = ["phoenix", "phoenix-1-7", "phoenix-1-6"]


@rule("PR-1", "PR-2", "PR-3", "PR-4", "PR-5", "PR-6", "PR-7", "PR-9", "PR-10", "JS-11")
@pytest.mark.parametrize("version", VERSIONS)
async def test_the_presence_of_the_npm_package(room: ReferenceServer, javascript: Any, version: str) -> None:
    assert await javascript("presence.js", f"ws://{room.url}", version).observed() == {
        "alone": [True],
        "somebody comes": [True],
        "another device": [True],
        "update": ["ok", {}],
        "updated": [True, True],
        "refs": ["string", "string", True],
        "who": [["ann", "bob"], 2],
        "a device goes": [True],
        "untracked": [True],
        "any key": [True],
        "back": [False],
        "gone": [True],
    }


class Guest:
    """Somebody in the room, on a connection of their own, with their view of who else is there."""

    def __init__(self, client: PhoenixClient, key: str, on: int) -> None:
        self.channel = client.channel("room:1", {"presence": key, "meta": {"on": on}})
        self.presence = ClientPresence(self.channel)
        self.told: list[tuple[str, str]] = []
        self._synced = asyncio.Event()
        self.presence.on_join = lambda key, before, joined: self.told.append(("join", key))
        self.presence.on_leave = lambda key, remaining, left: self.told.append(("leave", key))
        self.presence.on_sync = self._synced.set

    async def sees(self, **expected: list[int]) -> list[tuple[str, str]]:
        """Waits for that view, and returns what was told on the way to it."""
        async with asyncio.timeout(10):
            while self.view() != expected:
                self._synced.clear()
                await self._synced.wait()
        await asyncio.sleep(0)  # what was told with the last change
        told, self.told = self.told, []
        return told

    def view(self) -> dict[str, list[int]]:
        return dict(self.presence.list(lambda key, held: (key, sorted(meta["on"] for meta in held["metas"]))))


@rule("PR-1", "PR-2", "PR-4", "PR-5", "PR-6", "PR-7", "PR-17", "JS-11")
async def test_our_presence(room: ReferenceServer) -> None:
    options = ClientOptions(reconnect_seconds=(0.01,), rejoin_seconds=(0.01,))
    async with AsyncExitStack() as connected:
        ann, phone, bob = [
            Guest(
                await connected.enter_async_context(
                    PhoenixClient(f"http://{room.url}", {"user_id": user}, options=options)
                ),
                key,
                on,
            )
            for user, key, on in (("ann", "__proto__", 1), ("phone", "__proto__", 2), ("bob", "bob", 3))
        ]
        await ann.channel.join()
        assert await ann.sees(__proto__=[1]) == [("join", "__proto__")]
        await bob.channel.join()
        assert await ann.sees(__proto__=[1], bob=[3]) == [("join", "bob")]
        await phone.channel.join()
        assert await bob.sees(__proto__=[1, 2], bob=[3])
        await ann.sees(__proto__=[1, 2], bob=[3])
        await bob.channel.push("update", {"meta": {"on": 4}})
        assert await ann.sees(__proto__=[1, 2], bob=[4]) == [("join", "bob"), ("leave", "bob")]
        assert set(await bob.channel.push("who")) == {"__proto__", "bob"}
        before = ann.channel.join_ref
        await bob.channel.send("disconnect", {"user_id": "ann"})
        while ann.channel.join_ref == before:
            await asyncio.sleep(0.001)
        told = await ann.sees(__proto__=[1, 2], bob=[4])
        assert "bob" not in {key for _, key in told}
        await phone.channel.leave()
        await ann.sees(__proto__=[1], bob=[4])
        with pytest.raises(ServiceError):
            await bob.channel.push("crash")
        await bob.sees(__proto__=[1], bob=[3])
        await ann.sees(__proto__=[1], bob=[3])
