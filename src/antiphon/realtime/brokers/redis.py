"""A broker in Redis or Valkey, alone or behind Sentinel: publish and subscribe, nothing is kept there.

Needs the extra `redis`, of which only the parser is used. The protocol is RESP2, in which a connection that subscribes
does nothing else: so there are two. Source: https://redis.io/docs/latest/develop/reference/protocol-spec/
"""

import asyncio
import os
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from functools import partial
from typing import Any, TypeVar

from hiredis import ProtocolError, Reader, ReplyError

from antiphon.errors import ConfigError, ServiceError
from antiphon.realtime.brokers._address import MALFORMED, Address, parse_address, tls_context
from antiphon.realtime.brokers._link import Link
from antiphon.realtime.brokers._served import ServedBroker
from antiphon.realtime.brokers.base import LARGEST, Deliver
from antiphon.realtime.brokers.config import ClusterSettings
from antiphon.telemetry.metrics import Metrics

PORT, SENTINEL_PORT = 6379, 26379

_TAG = 8
"""Bytes before every message that tell whose it is: Redis sends them to their publisher too."""
_MORE: Any = object()
_HEADS = 2048
"""Lengths of messages whose first words are kept ready."""

RespT = TypeVar("RespT", bound="_Resp")


class RedisBroker(ServedBroker["_Publisher"]):
    """`Broker` at a `redis://`, `rediss://`, `unix://` or `redis+sentinel://` URL (`rediss+sentinel://` with TLS).

    The URL of the cache may be given as it is: its database is ignored, channels have none. Raises `ConfigError` for a
    URL that is none.
    """

    name = "redis"

    def __init__(self, settings: ClusterSettings, metrics: Metrics | None = None) -> None:
        self._door = _Door(settings.address, timeout=settings.timeout, limit=settings.unsent_bytes)
        super().__init__(settings, metrics, self._door.address.where)
        self._all = f"{settings.prefix}:all".encode()
        self._to = f"{settings.prefix}:to:"
        self._tag = os.urandom(_TAG)
        self._heads: dict[int, bytes] = {}

    def publish(self, body: bytes) -> None:
        """See `Broker`."""
        size = len(body)
        head = self._heads.get(size)
        if head is None:
            head = self._head(self._all, size)
            if len(self._heads) < _HEADS:
                self._heads[size] = head
        if size > LARGEST or self._out is None or not self._out.put(head, body, b"\r\n"):
            self._lose(body)

    def send(self, node: str, body: bytes) -> None:
        """See `Broker`."""
        head = self._head(self._channel(node), len(body))
        if len(body) > LARGEST or self._out is None or not self._out.put(head, body, b"\r\n"):
            self._lose(body)

    def _head(self, channel: bytes, size: int) -> bytes:
        return b"*3\r\n$7\r\nPUBLISH\r\n$%d\r\n%b\r\n$%d\r\n%b" % (len(channel), channel, size + _TAG, self._tag)

    def _channel(self, node: str) -> bytes:
        return (self._to + node).encode("utf-8", "surrogatepass")

    async def _connect(self) -> tuple["_Publisher", Sequence[Link]]:
        guarded = bool(self._door.service)
        proof = b"ROLE" if guarded else b"PING"
        async with AsyncExitStack() as undo:
            host = await self._door.find()
            listener = await self._door.open(undo, host, partial(_Subscriber, self._tag, self._deliver))
            for channel in (self._all, self._channel(self._node)):
                await listener.ask("SUBSCRIBE", channel)
            out = await self._door.open(undo, host, partial(_Publisher, proof, self._refused, self._caught_up))
            if guarded and (await out.ask("ROLE"))[:1] != [b"master"]:
                raise ServiceError("What Sentinel named is no master, or not any more")
            await out.ask("PUBLISH", self._all, self._tag)  # empty to others; shows that it is allowed
            listener.watch()
            out.watch()
            undo.pop_all()
        return out, (listener,)


class _Resp(Link):
    """A connection to Redis. Questions are asked one after the other, before it is used for its purpose."""

    def __init__(self, *, caught_up: Callable[[], None] = lambda: None, timeout: float, limit: int) -> None:
        super().__init__(timeout=timeout, limit=limit, caught_up=caught_up)
        self._reader = Reader(notEnoughData=_MORE)
        self._asked: deque[asyncio.Future[Any]] = deque()
        self._unfinished = 0

    async def ask(self, *words: str | bytes) -> Any:
        """The answer. Raises `ServiceError` with what Redis says when it refuses, or when the connection is lost."""
        answer = self._loop.create_future()
        self._asked.append(answer)
        parts = [word.encode() if isinstance(word, str) else word for word in words]
        self.write(b"*%d\r\n" % len(parts), *(b"$%d\r\n%b\r\n" % (len(part), part) for part in parts))
        await asyncio.wait([answer, self.lost], return_when=asyncio.FIRST_COMPLETED)
        if self.over:
            raise ServiceError(f"Redis cannot be used: {self.lost.result()}")
        if isinstance(reply := answer.result(), ReplyError):
            raise ServiceError(f"Redis refuses {parts[0].decode()}: {reply}")
        return reply

    def parse(self, data: bytes) -> None:
        self._unfinished += len(data)
        try:
            self._reader.feed(data)
            if self.drain(self._reader.gets):
                self._unfinished = 0
        except (ProtocolError, MemoryError):
            self.end("it says what is not Redis's protocol")
        if self._unfinished > 2 * LARGEST:
            self.end(f"it says more than {2 * LARGEST} bytes at once")

    def drain(self, gets: Callable[[], Any]) -> bool:
        """Takes every reply that is complete; False when none was."""
        some = False
        while (reply := gets()) is not _MORE:
            some = True
            self.take(reply)
        return some

    def take(self, reply: Any) -> None:
        """Takes one reply; what is left over is of no interest."""
        if self._asked:
            self._asked.popleft().set_result(reply)

    def ping(self) -> None:
        self.write(b"*1\r\n$4\r\nPING\r\n")


class _Subscriber(_Resp):
    """Hands on what arrives on its channels, but for what begins with the own tag."""

    def __init__(self, tag: bytes, deliver: Deliver, *, timeout: float, limit: int) -> None:
        super().__init__(timeout=timeout, limit=limit)
        self._tag = tag
        self._deliver = deliver

    def drain(self, gets: Callable[[], Any]) -> bool:
        """As above, in one function: this runs for every message of the cluster."""
        tag, deliver, some = self._tag, self._deliver, False
        while (reply := gets()) is not _MORE:
            some = True
            if type(reply) is list and len(reply) == 3 and reply[0] == b"message" and type(reply[2]) is bytes:
                body = reply[2]
                if not body.startswith(tag) and len(body) > _TAG:
                    deliver(body[_TAG:])
            else:
                self.take(reply)
        return some


class _Publisher(_Resp):
    """Its answers are not waited for. One that refuses ends it: what follows would be lost unseen, and the next
    connection shows whether it is allowed. `proof` is what it is asked as a sign of life: `ROLE` where Sentinel may
    make another one the master, of which one that is cut off from Sentinel is not told."""

    def __init__(
        self,
        proof: bytes,
        refused: Callable[[str], None],
        caught_up: Callable[[], None],
        *,
        timeout: float,
        limit: int,
    ) -> None:
        super().__init__(timeout=timeout, limit=limit, caught_up=caught_up)
        self._proof = b"*1\r\n$4\r\n%b\r\n" % proof
        self._refused = refused

    def take(self, reply: Any) -> None:
        if self._asked:
            super().take(reply)
        elif type(reply) is ReplyError:
            self._refused(str(reply))
            self.end(f"it refuses what is published: {reply}")
        elif type(reply) is list and reply[:1] == [b"slave"]:
            self.end("it is not the master any more")

    def ping(self) -> None:
        self.write(self._proof)


class _Door:
    """Where Redis is, and how one comes in."""

    def __init__(self, url: str, *, timeout: float, limit: int) -> None:
        self.address: Address = parse_address(url, SENTINEL_PORT if "+sentinel://" in url else PORT)
        scheme, options = self.address.scheme, self.address.options
        self.service = self.address.path.partition("/")[0] if scheme.endswith("+sentinel") else ""
        self._unix = scheme == "unix"
        if bool(self.address.hosts) == self._unix or (scheme.endswith("+sentinel") and not self.service):
            raise ConfigError(MALFORMED)
        self._sentinels = deque(self.address.hosts)
        self._login = _login(self.address.user, self.address.password)
        self._sentinel_login = _login(options.get("sentinel_username"), options.get("sentinel_password"))
        self._tls = tls_context(options) if scheme.startswith("rediss") else None
        self._timeout, self._limit = timeout, limit

    async def find(self) -> tuple[str, int] | None:
        """The host and port of the server, None for a socket of this machine. Behind Sentinel they are asked in turn,
        the one that answered last first. Raises `ServiceError` when none names a master."""
        if self._unix:
            return None
        if not self.service:
            return self._sentinels[0]
        for host in list(self._sentinels):
            try:
                async with asyncio.timeout(self._timeout / (len(self._sentinels) + 1)):
                    return await self._ask_sentinel(host)
            except (OSError, ServiceError):
                self._sentinels.rotate(-1)
        raise ServiceError(f"No Sentinel at {self.address.where} names a master of {self.service}")

    async def open(self, undo: AsyncExitStack, host: tuple[str, int] | None, make: Callable[..., RespT]) -> RespT:
        """A connection on which Redis knows who is there; `undo` ends it."""
        return await self._enter(undo, host, make, self._login)

    async def _ask_sentinel(self, host: tuple[str, int]) -> tuple[str, int]:
        async with AsyncExitStack() as undo:
            sentinel = await self._enter(undo, host, _Resp, self._sentinel_login)
            found = await sentinel.ask("SENTINEL", "get-master-addr-by-name", self.service)
            match found:
                case [bytes(name), bytes(port)] if port.isdigit():
                    return name.decode(errors="replace"), int(port)
            raise ServiceError("it knows no such master")

    async def _enter(
        self, undo: AsyncExitStack, host: tuple[str, int] | None, make: Callable[..., RespT], login: tuple[str, ...]
    ) -> RespT:
        link = make(timeout=self._timeout, limit=self._limit)
        undo.push_async_callback(link.close, 0)
        loop = asyncio.get_running_loop()
        if host is None:
            await loop.create_unix_connection(lambda: link, f"/{self.address.path}")
        else:
            await loop.create_connection(lambda: link, *host, ssl=self._tls)
        if login:
            await link.ask("AUTH", *login)
        return link


def _login(user: str | None, password: str | None) -> tuple[str, ...]:
    if password is None:
        return ()
    return (user, password) if user else (password,)


open_url = RedisBroker
