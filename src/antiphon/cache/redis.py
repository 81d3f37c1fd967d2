"""A cache in Redis: shared by every process of a house, gone when Redis is.

Needs the extra `redis`. The protocol is RESP2: what RESP3 adds is asked for with commands that older servers and
proxies in between do not know, and nothing of it is used here.
"""

import asyncio
import re
from typing import Any

from redis.asyncio.connection import AbstractConnection, ConnectionPool
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import NoPermissionError, RedisError, ResponseError

from antiphon.cache.base import NO_NUMBER
from antiphon.errors import ConfigError, ServiceError, ValidationError

Word = str | bytes | int

_SWAP = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return 1
"""
_COUNT = """
redis.call('SET', KEYS[1], 0, 'PX', ARGV[2], 'NX')
return redis.call('INCRBY', KEYS[1], ARGV[1])
"""
_RUN_ID = re.compile(rb"run_id:(\w+)")
_BATCH = 500
_SPECIAL = re.compile(r"[\\*?\[\]]")


class RedisBackend:
    """`CacheBackend` in the Redis at `url`; connects with the first call.

    Every key begins with `prefix` and a colon, and nothing else is ever touched. `timeout` is for a whole exchange:
    finding a free one of the `connections`, connecting, asking and being answered. Nothing is tried twice.
    Raises `ConfigError` for a URL that is none.

    A Redis that was started again is another one, and empty: what it has kept on disk is older than what it has lost,
    and to bring that back would undo changes. So every name tells the life of the server too, where it may be asked.
    """

    name = "redis"

    def __init__(self, url: str, *, prefix: str = "antiphon", timeout: float = 0.5, connections: int = 16) -> None:
        self._url = url
        self._prefix = prefix
        self._timeout = timeout
        self._connections = connections
        self._pool = self._new_pool()
        self._used: dict[asyncio.AbstractEventLoop, _Connections] = {}
        self._life = b""
        settings = self._pool.connection_kwargs
        # Without the name and the password in the URL.
        self.where = settings.get("path") or f"{settings.get('host', 'localhost')}:{settings.get('port', 6379)}"

    async def get(self, *keys: str) -> list[bytes | None]:
        found: list[bytes | None] = await self._ask(("MGET",), keys) if keys else []
        return found

    async def set(self, key: str, value: bytes, ttl: float) -> bool:
        return bool(await self._ask(("SET",), (key,), value, "PX", _milliseconds(ttl)))

    async def swap(self, key: str, old: bytes | None, new: bytes, ttl: float) -> bool:
        if old is None:
            return bool(await self._ask(("SET",), (key,), new, "PX", _milliseconds(ttl), "NX"))
        return bool(await self._ask(("EVAL", _SWAP, 1), (key,), old, new, _milliseconds(ttl)))

    async def delete(self, *keys: str) -> bool:
        if keys:
            await self._ask(("DEL",), keys)
        return True

    async def increment(self, key: str, by: int, ttl: float) -> int:
        return int(await self._ask(("EVAL", _COUNT, 1), (key,), by, _milliseconds(ttl)))

    async def clear(self) -> bool:
        pattern, cursor = _SPECIAL.sub(r"\\\g<0>", self._prefix) + ":*", 0
        while True:
            cursor, names = await self._ask(("SCAN", cursor, "MATCH", pattern, "COUNT", _BATCH))
            if names:
                await self._ask(("DEL", *names))
            if not int(cursor):
                return True

    async def check(self) -> str:
        await self.set("check", b"1", 1.0)
        return f"Redis at {self.where}"

    async def stop(self) -> None:
        if used := self._used.pop(asyncio.get_running_loop(), None):
            await used.close()

    async def _greet(self, connection: AbstractConnection) -> None:
        """What is done with a new connection: besides what the library does, the server is asked who it is."""
        await connection.on_connect()
        await connection.send_command("INFO", "server")
        try:
            about = await connection.read_response()
        except NoPermissionError:
            about = b""
        found = _RUN_ID.search(about)
        life = found[1] if found else b"?"
        if life != self._life:
            self._life = life

    def _new_pool(self) -> ConnectionPool:
        try:
            return ConnectionPool.from_url(
                self._url,
                protocol=2,
                socket_timeout=None,
                socket_connect_timeout=None,
                retry=Retry(NoBackoff(), 0),
                client_name="antiphon",
                redis_connect_func=self._greet,
            )
        except (ValueError, RedisError):
            raise ConfigError(
                "The URL of Redis is not one: it reads redis://host:port/number, rediss://… with TLS, or unix:///path."
            ) from None

    def _mine(self) -> "_Connections":
        """Those of the running loop: connections belong to a loop, and the cache may be asked from several threads."""
        loop = asyncio.get_running_loop()
        if (used := self._used.get(loop)) is None:
            for over in [known for known in list(self._used) if known.is_closed()]:
                self._used.pop(over, None)  # its connections went with it
            used = self._used[loop] = _Connections(self._pool, self._connections)
        return used

    async def _ask(self, command: tuple[Word, ...], keys: tuple[str, ...] = (), *more: Word) -> Any:
        try:
            async with asyncio.timeout(self._timeout):
                return await self._exchange(self._mine(), command, keys, more)
        except TimeoutError:
            raise ServiceError(f"Redis at {self.where} did not answer within {self._timeout:g} s.") from None
        except ResponseError as error:
            if "not an integer" in str(error) or "would overflow" in str(error):
                raise ValidationError(NO_NUMBER) from None
            raise ServiceError(f"Redis at {self.where} refuses: {_said(error)}.") from error
        except (RedisError, OSError, RuntimeError) as error:  # RuntimeError: uvloop's, for a connection that was lost
            raise ServiceError(f"Redis at {self.where} cannot be used: {_said(error)}.") from error

    async def _exchange(
        self, used: "_Connections", command: tuple[Word, ...], keys: tuple[str, ...], more: tuple[Word, ...]
    ) -> Any:
        if not self._life:
            await used.send("PING")
        while True:
            life = self._life
            names = [b"%b:%b:%b" % (self._prefix.encode(), life, key.encode("utf-8", "surrogatepass")) for key in keys]
            result = await used.send(*command, *names, *more)
            if life is self._life:
                return result


def _said(error: Exception) -> str:
    return str(error).rstrip(".")


def _milliseconds(ttl: float) -> int:
    return max(1, round(ttl * 1000))


class _Connections:
    """At most so many to one server, in one event loop.

    The library has pools of its own. There, who is given up while giving a connection back takes it out of the pool for
    good; here nothing is waited for then. And what is sent here passes by what its client adds: a third of the cost.
    """

    def __init__(self, pool: ConnectionPool, most: int) -> None:
        self._pool = pool  # makes connections and looks after them, and never holds one
        self._most = most
        self._free = asyncio.Semaphore(most)
        self._idle: list[AbstractConnection] = []

    async def send(self, *words: Word) -> Any:
        """The answer to one command. A connection on which anything goes wrong in between, being given up too, ends
        itself, so that no answer reaches who has not asked, and is made again by the next who uses it."""
        async with self._free:
            connection = self._idle.pop() if self._idle else self._pool.make_connection()  # type: ignore[no-untyped-call]
            try:
                await self._pool.ensure_connection(connection)
                await connection.send_command(*words)
                return await connection.read_response()
            finally:
                self._idle.append(connection)

    async def close(self) -> None:
        """Waits for what is under way."""
        for _ in range(self._most):
            await self._free.acquire()
        for connection in self._idle:
            await connection.disconnect()
