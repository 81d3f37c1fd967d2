"""The session of a turn when it is at hand, in memory and in Redis, and what stands under it."""

import asyncio
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from redis.asyncio import Redis

from antiphon.cache.cache import Cache
from antiphon.conversation.sessions import SessionManager
from antiphon.domain import ChannelMessage, Turn, new_id
from antiphon.storage.base import Store
from antiphon.storage.config import DatabaseSettings
from antiphon.storage.open import open_store
from benchmarks.measuring import Case, awaiting, fast_loop, spinning
from tests.redis_server import RedisServer

UNIT = "µs of CPU a look-up"
REFERENCE = "redis-py alone: GET"
ROUNDS = 7

TURNS = 100
"""Conversations, each of a person of its own, that are looked up in turn."""


async def asked(store: Store, number: int) -> Turn:
    message = ChannelMessage(adapter="bench", place=str(number), account=str(number), key=new_id(), text="hello")
    return (await store.inbox.accept(message, assistant="guide")).turn


async def looked_up(sessions: SessionManager, turns: list[Turn], count: int) -> int:
    """One after the other."""
    for number in range(count):
        await sessions.resolve(turns[number % len(turns)])
    return count


async def looked_up_at_once(sessions: SessionManager, turns: list[Turn], count: int) -> int:
    for _ in range(count // len(turns)):
        await asyncio.gather(*map(sessions.resolve, turns))
    return count // len(turns) * len(turns)


async def read(store: Store, turns: list[Turn], count: int) -> int:
    """What a look-up costs that finds nothing at hand: the store's part of it."""
    for number in range(count):
        await store.inbox.parties(turns[number % len(turns)])
    return count


async def got(redis: Redis, count: int, *command: str) -> int:
    for _ in range(count):
        await redis.execute_command(*command)  # type: ignore[no-untyped-call]
    return count


@contextmanager
def cases(scale: float) -> Iterator[dict[str, Case]]:
    count = max(TURNS, round(4_000 * scale))
    with ExitStack() as opened:
        folder = Path(opened.enter_context(tempfile.TemporaryDirectory()))
        server = opened.enter_context(RedisServer())
        runner = opened.enter_context(fast_loop())
        store = open_store(DatabaseSettings(url=f"sqlite:///{folder / 'sessions.db'}"))
        shared, bare = Cache("redis", url=server.url), Redis.from_url(server.url)
        memory, remote = SessionManager(store, Cache()), SessionManager(store, shared)

        async def begin() -> list[Turn]:
            await store.start()
            turns = [await asked(store, number) for number in range(TURNS)]
            await bare.set("k", b"x" * 200)
            for sessions in (memory, remote):
                await looked_up(sessions, turns, TURNS)
            return turns

        async def end() -> None:
            await bare.aclose()
            await shared.stop()
            await store.stop()

        turns = runner.run(begin())
        opened.callback(lambda: runner.run(end()))
        known: dict[str, Any] = {turn.conversation_id: turn for turn in turns}
        yield {
            "at hand in memory, one after the other": awaiting(runner, lambda: looked_up(memory, turns, 5 * count)),
            "at hand in Redis, one after the other": awaiting(runner, lambda: looked_up(remote, turns, count)),
            "at hand in Redis, 100 at once": awaiting(runner, lambda: looked_up_at_once(remote, turns, count)),
            "read from SQLite": awaiting(runner, lambda: read(store, turns, count)),
            REFERENCE: awaiting(runner, lambda: got(bare, count, "GET", "k")),
            "a dictionary: one look-up": spinning(lambda: known.get(turns[0].conversation_id), 0.1 * scale),
        }
