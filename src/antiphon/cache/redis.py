"""A cache in Redis: shared by every process of a house, gone when Redis is.

Needs the extra `redis`. The protocol is RESP2: what RESP3 adds is asked for with commands that older servers and
proxies in between do not know, and nothing of it is used here.
"""

import asyncio
import re
from typing import Any

from redis.asyncio import BlockingConnectionPool
from redis.asyncio.connection import AbstractConnection
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
        self._loop: asyncio.AbstractEventLoop | None = None
        self._pool = self._new_pool()
        self._life = b""
        self.where = _where(self._pool)

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
        pool, loop, self._pool, self._loop = self._pool, self._loop, self._new_pool(), None
        if loop is asyncio.get_running_loop():
            await pool.aclose()  # those of a loop that is over went with it

    async def _send(self, *words: Word) -> Any:
        """One command on one connection, without what the library's client adds: half the cost is its own. What goes
        wrong in between, being given up too, ends the connection, so that no answer reaches who has not asked."""
        connection = await self._pool.get_connection()  # type: ignore[no-untyped-call]
        try:
            await connection.send_command(*words)
            return await connection.read_response()
        finally:
            await self._pool.release(connection)

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

    def _new_pool(self) -> BlockingConnectionPool:
        """A pool without connections. They belong to a loop, so each loop has a pool of its own."""
        try:
            pool = BlockingConnectionPool.from_url(
                self._url,
                max_connections=self._connections,
                timeout=None,
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
        return pool

    async def _ask(self, command: tuple[Word, ...], keys: tuple[str, ...] = (), *more: Word) -> Any:
        loop = asyncio.get_running_loop()
        if self._loop is not loop:
            self._pool, self._loop = self._pool if self._loop is None else self._new_pool(), loop
        try:
            async with asyncio.timeout(self._timeout):
                return await self._exchange(command, keys, more)
        except TimeoutError:
            raise ServiceError(f"Redis at {self.where} did not answer within {self._timeout:g} s.") from None
        except ResponseError as error:
            if "not an integer" in str(error) or "would overflow" in str(error):
                raise ValidationError(NO_NUMBER) from None
            raise ServiceError(f"Redis at {self.where} refuses: {_said(error)}.") from error
        except (RedisError, OSError, RuntimeError) as error:  # RuntimeError: uvloop's, for a connection that was lost
            raise ServiceError(f"Redis at {self.where} cannot be used: {_said(error)}.") from error

    async def _exchange(self, command: tuple[Word, ...], keys: tuple[str, ...], more: tuple[Word, ...]) -> Any:
        if not self._life:
            await self._send("PING")
        while True:
            life = self._life
            names = [b"%b:%b:%b" % (self._prefix.encode(), life, key.encode("utf-8", "surrogatepass")) for key in keys]
            result = await self._send(*command, *names, *more)
            if life is self._life:
                return result


def _said(error: Exception) -> str:
    return str(error).rstrip(".")


def _milliseconds(ttl: float) -> int:
    return max(1, round(ttl * 1000))


def _where(pool: BlockingConnectionPool) -> str:
    """Without the name and the password in the URL."""
    settings = pool.connection_kwargs
    return settings.get("path") or f"{settings.get('host', 'localhost')}:{settings.get('port', 6379)}"
