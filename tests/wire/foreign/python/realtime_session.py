"""realtime, the client of Supabase: version 1 with join_ref, heartbeats without ref."""

import asyncio
import json
import sys
from collections.abc import Callable
from typing import Any

from realtime import AsyncRealtimeClient  # type: ignore[import-not-found]


def say(*values: Any) -> None:
    sys.stdout.write(json.dumps(values) + "\n")
    sys.stdout.flush()


class Heard:
    """Waits for what callbacks are told."""

    def __init__(self) -> None:
        self._queue: asyncio.Queue[Any] = asyncio.Queue()

    def __call__(self, *told: Any) -> None:
        self._queue.put_nowait(told[0] if len(told) == 1 else list(told))

    async def next(self) -> Any:
        async with asyncio.timeout(10):
            return await self._queue.get()


def config(**more: Any) -> Any:
    return {"config": {"broadcast": {"ack": True, "self": True}, "presence": {"key": ""}, "private": False, **more}}


async def broadcast(open_client: Callable[[str], Any]) -> None:
    heard, own, states = Heard(), Heard(), Heard()
    ann, bob = open_client("ann"), open_client("bob")
    speaker, listener = ann.channel("room:1", config()), bob.channel("room:1")
    speaker.on_broadcast("shout", own)
    listener.on_broadcast("shout", heard)
    await speaker.subscribe(lambda state, error: states(state.value, str(error)))
    await listener.subscribe()
    say("joined", await states.next(), listener.is_joined)
    await speaker.send_broadcast("shout", {"text": "é🎵"})
    say("broadcast", (await heard.next())["payload"], (await own.next())["payload"])
    await ann.remove_channel(speaker)
    say("left", speaker.topic in ann.channels)
    again = ann.channel("room:1")
    await again.subscribe()
    say("joined again", again.is_joined)
    await ann.close()
    await bob.close()


async def presence(open_client: Callable[[str], Any]) -> None:
    ann, bob = open_client("ann"), open_client("bob")
    joined, left = Heard(), Heard()
    watcher = bob.channel("lobby", config(presence={"key": "bob"}))
    watcher.on_presence_join(lambda key, _, new: joined(key, new[0].get("n")))
    watcher.on_presence_leave(lambda key, _, old: left(key, old[0].get("n")))
    await watcher.subscribe()
    visitor = ann.channel("lobby", config(presence={"key": "ann"}))
    await visitor.subscribe()
    await visitor.track({"n": 1})
    say("came", await joined.next(), list(watcher.presence_state()))
    await visitor.track({"n": 2})
    say("changed", await joined.next(), await left.next(), len(watcher.presence_state()["ann"]))
    await visitor.untrack()
    say("gone", await left.next(), list(watcher.presence_state()))
    await ann.close()
    await bob.close()


async def tokens(open_client: Callable[[str], Any]) -> None:
    """What the test does meanwhile: it closes the connection, and lets time pass."""
    ann, states, told = open_client("first"), Heard(), Heard()
    room = ann.channel("tokens")
    room.on_system(told)
    await room.subscribe(lambda state, _: states(state.value))
    say("first", await states.next())
    await ann.set_auth("second")
    say("disconnect me")
    say("rejoined", await states.next(), await states.next())
    say("nearly")
    say("warned", (await told.next()).message)
    say("over")
    say("closed", await states.next(), await states.next())
    await ann.set_auth("third")
    again = ann.channel("tokens")
    await again.subscribe()
    say("fresh token", again.is_joined)
    await ann.close()


async def main(url: str) -> None:
    def open_client(key: str) -> Any:
        return AsyncRealtimeClient(f"ws://{url}", key, initial_backoff=0.01)

    for scene in (broadcast, presence, tokens):
        await scene(open_client)


asyncio.run(main(*sys.argv[1:]))
