"""Logs in Redis, the same for all nodes: a stream for each topic, whose entries are numbered without a gap.

Needs the extra `redis`. What is appended in one turn of the loop goes in one exchange.

A Redis that was started again, or another one that took its place, may have less than it had: numbers would be given
twice. So a log belongs to one life of its server, and begins anew in the next.
"""

import asyncio
import secrets
from collections.abc import Iterable
from contextlib import suppress
from itertools import zip_longest
from typing import Any, cast

from redis.exceptions import RedisError

from antiphon.errors import ServiceError
from antiphon.realtime.recovery._client import close, redis_at
from antiphon.realtime.recovery.base import Missed, Recovery
from antiphon.realtime.wire.base import Position, TopicMessage
from antiphon.runtime.tasks import Restart, Tasks

_Waiting = tuple[TopicMessage, Recovery, "asyncio.Future[Position]"]

_EPOCH = """
local about = redis.pcall('INFO', 'server')
local life = type(about) == 'string' and string.match(about, 'run_id:(%w+)') or '?'
local found = redis.call('HMGET', KEYS[1], 'epoch', 'life')
local epoch = found[1]
if not epoch or found[2] ~= life then
  epoch = ARGV[1]
  redis.call('DEL', KEYS[2])
  redis.call('HSET', KEYS[1], 'epoch', epoch, 'life', life, 'offset', 0)
  redis.call('PEXPIRE', KEYS[1], ARGV[2])
end
"""
_APPEND = f"""{_EPOCH}
local offset = redis.call('HINCRBY', KEYS[1], 'offset', 1)
redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[3], offset .. '-1', 'e', ARGV[4], 'p', ARGV[5], 'b', ARGV[6])
redis.call('PEXPIRE', KEYS[1], ARGV[2])
redis.call('PEXPIRE', KEYS[2], ARGV[2])
return {{epoch, offset}}
"""
_SINCE = f"""{_EPOCH}
local offset = tonumber(redis.call('HGET', KEYS[1], 'offset'))
local missed = {{}}
if epoch == ARGV[3] and tonumber(ARGV[4]) < offset then
  missed = redis.call('XRANGE', KEYS[2], (ARGV[4] + 1) .. '-0', '+')
end
return {{epoch, offset, missed}}
"""

WAITING, WAITING_BYTES = 10_000, 64 * 1024 * 1024
"""Messages that may wait to be appended, and their size; beyond that Redis counts as gone."""

READERS = 16
"""Joins that ask at the same time; thousands that come back together must not bring a connection each."""


class RedisLogs:
    """`TopicLogs` in the Redis at `url`, alone or behind Sentinel (`redis+sentinel://hosts/service`). Every key begins
    with `prefix`. `timeout` is for a whole exchange.

    The age in `Recovery` is that of the newest message of a topic: one that is never quiet is bounded by number alone.
    """

    shared = True

    def __init__(self, url: str, *, prefix: str = "antiphon", timeout: float = 2.0) -> None:
        self._redis = redis_at(url, timeout)
        self._prefix = prefix
        self._timeout = timeout
        self._append = self._redis.register_script(_APPEND)
        self._since = self._redis.register_script(_SINCE)
        self._waiting: list[_Waiting] = []
        self._size = 0
        self._open: set[asyncio.Future[Position]] = set()
        self._readers = asyncio.Semaphore(READERS)
        self._work = asyncio.Event()
        self._tasks = Tasks()

    def append(self, message: TopicMessage, keep: Recovery) -> "asyncio.Future[Position]":
        done: asyncio.Future[Position] = asyncio.get_running_loop().create_future()
        if len(self._waiting) >= WAITING or self._size > WAITING_BYTES:
            done.set_exception(ServiceError("Redis does not keep up with the logs of the topics."))
            return done
        self._open.add(done)
        done.add_done_callback(self._open.discard)
        self._waiting.append((message, keep, done))
        self._size += len(message.raw)
        self._work.set()
        return done

    async def since(self, topic: str, seen: Position | None, keep: Recovery) -> Missed:
        epoch, offset = (seen.epoch, seen.offset) if seen else ("", 0)
        arguments: list[Any] = [secrets.token_hex(6), int(keep.seconds * 1000), epoch, offset]
        try:
            async with asyncio.timeout(self._timeout), self._readers:
                found, last, missed = await self._since(keys=self._keys(topic), args=arguments)
        except (RedisError, OSError, TimeoutError) as error:
            raise ServiceError("Redis cannot be reached: what was missed is not known.") from error
        here = Position(found.decode(), int(last))
        messages = tuple(_message(topic, entry) for entry in missed)
        complete = seen is not None and found.decode() == epoch and len(messages) == here.offset - offset
        return Missed(messages if complete else (), complete, here)

    async def restart(self, topic: str) -> None:
        try:
            async with asyncio.timeout(self._timeout):
                await self._redis.delete(*self._keys(topic))
        except (RedisError, OSError, TimeoutError) as error:
            raise ServiceError("Redis cannot be reached: the log of a topic could not be begun anew.") from error

    async def start(self) -> None:
        """Appends from now on; connects with the first message."""
        self._tasks.start("topic logs", self._run, restart=Restart())

    async def stop(self) -> None:
        if self._open:
            await asyncio.wait(self._open, timeout=self._timeout)
        await self._tasks.stop()
        _settle(self._waiting, ())
        self._waiting, self._size = [], 0
        await close(self._redis)

    def _keys(self, topic: str) -> list[str]:
        # The braces keep both on one server of a Redis Cluster.
        return [f"{self._prefix}:{{{topic}}}:place", f"{self._prefix}:{{{topic}}}:log"]

    async def _run(self) -> None:
        while True:
            await self._work.wait()
            self._work.clear()
            batch, self._waiting, self._size = self._waiting, [], 0
            places: list[Position | None] = []
            try:
                with suppress(RedisError, OSError, TimeoutError):
                    places = await self._append_all([(message, keep) for message, keep, _ in batch])
            finally:
                # Whatever ended it: the broadcasts of every topic wait behind these.
                _settle(batch, places)

    async def _append_all(self, batch: list[tuple[TopicMessage, Recovery]]) -> list[Position | None]:
        async with asyncio.timeout(self._timeout), self._redis.pipeline(transaction=False) as pipe:
            for message, keep in batch:
                arguments: list[Any] = [secrets.token_hex(6), int(keep.seconds * 1000), keep.messages]
                content: list[Any] = [message.event, message.raw, int(message.binary)]
                await self._append(keys=self._keys(message.topic), args=[*arguments, *content], client=pipe)
            found = await pipe.execute(raise_on_error=False)
        return [None if isinstance(one, Exception) else Position(one[0].decode(), int(one[1])) for one in found]


def _settle(batch: Iterable[_Waiting], places: Iterable[Position | None]) -> None:
    for (_, _, done), place in zip_longest(batch, places):
        if place is not None and not done.done():
            done.set_result(place)
        elif not done.done():
            done.set_exception(ServiceError("Redis cannot be reached: a message is in no log."))


def _message(topic: str, entry: Any) -> TopicMessage:
    _, fields = entry
    named = dict(zip(fields[::2], fields[1::2], strict=True)) if isinstance(fields, list) else fields
    event, raw, binary = (cast("bytes", named[key]) for key in (b"e", b"p", b"b"))
    return TopicMessage(topic, event.decode(), raw, binary=binary == b"1")
