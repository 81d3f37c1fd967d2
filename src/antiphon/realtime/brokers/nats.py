"""A broker in NATS: its core, in which nothing is kept. The protocol is a few lines of text and needs no package.

Source: https://docs.nats.io/reference/reference-protocols/nats-protocol
"""

import asyncio
import random
import ssl
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from typing import Any, TypeVar
from urllib.parse import quote

import msgspec

from antiphon.errors import ConfigError, ServiceError
from antiphon.realtime.brokers._address import MALFORMED, parse_address, tls_context
from antiphon.realtime.brokers._link import Link
from antiphon.realtime.brokers._parts import Parts, cut
from antiphon.realtime.brokers._served import ServedBroker
from antiphon.realtime.brokers.base import LARGEST, Deliver
from antiphon.realtime.brokers.config import ClusterSettings
from antiphon.telemetry.metrics import Metrics

T = TypeVar("T")

PORT = 4222

_LINE = 64 * 1024
"""Bytes of a line of the protocol at most; the longest is what a server says of itself."""
_PART = 1024 * 1024
"""Bytes of a part at most, also where the server would take more."""
_HEADS = 2048
"""Lengths of messages whose first line is kept ready."""


class _Info(msgspec.Struct):
    """What a server says of itself, as far as it is of interest."""

    max_payload: int = _PART
    proto: int = 0
    tls_required: bool = False
    tls_available: bool = False


class NatsBroker(ServedBroker["_NatsLink"]):
    """`Broker` at a `nats://` or `tls://` URL, which may name several servers: `nats://user:password@host:port,host`.
    A name without a password is a token. NKeys, and JWTs that are signed with them, are not served.

    A message that is larger than the server takes travels in parts. Raises `ConfigError` for a URL that is none.
    """

    name = "nats"

    def __init__(self, settings: ClusterSettings, metrics: Metrics | None = None) -> None:
        self._address = parse_address(settings.address, PORT)
        if not self._address.hosts:
            raise ConfigError(MALFORMED)
        super().__init__(settings, metrics, self._address.where)
        self._hosts = random.sample(self._address.hosts, len(self._address.hosts))
        self._tls = tls_context(self._address.options)
        self._timeout, self._limit = settings.timeout, settings.unsent_bytes
        self._all = f"{settings.prefix}.all"
        self._to = f"{settings.prefix}.to."

    def publish(self, body: bytes) -> None:
        """See `Broker`."""
        if len(body) > LARGEST or self._out is None or not self._out.publish(self._all, body):
            self._lose(body)

    def send(self, node: str, body: bytes) -> None:
        """See `Broker`."""
        if len(body) > LARGEST or self._out is None or not self._out.publish(self._subject(node), body):
            self._lose(body)

    def _subject(self, node: str) -> str:
        """A node may be called anything, a word of a subject may not."""
        return f"{self._to}{quote(node, safe='', errors='surrogatepass').replace('.', '%2E')}="

    async def _connect(self) -> tuple["_NatsLink", Sequence[Link]]:
        """To the first server that takes us, beginning with the one that did last time."""
        failure: Exception | None = None
        for host in list(self._hosts):
            try:
                async with asyncio.timeout(self._timeout / len(self._hosts)):
                    return await self._connect_to(host), ()
            except (OSError, ServiceError) as error:
                failure = error
                self._hosts.append(self._hosts.pop(0))
        raise failure or ServiceError("no server is named")

    async def _connect_to(self, host: tuple[str, int]) -> "_NatsLink":
        async with AsyncExitStack() as undo:
            link = _NatsLink(
                self._all,
                self._deliver,
                self._refused,
                self._damaged,
                self._caught_up,
                timeout=self._timeout,
                limit=self._limit,
            )
            undo.push_async_callback(link.close, 0)
            await asyncio.get_running_loop().create_connection(lambda: link, *host)
            info = await link.answer(link.info)
            if self._address.scheme == "tls" or info.tls_required:
                if not (info.tls_required or info.tls_available):
                    raise ServiceError("NATS at this address offers no TLS")
                await link.encrypt(self._tls, host[0])
            own = self._subject(self._node)
            link.write(
                b"CONNECT %b\r\n" % self._greeting(info),
                f"SUB {self._all} 1\r\nSUB {own} 2\r\n".encode(),
                # Empty to others; shows that it is allowed.
                f"PUB {self._all} 0\r\n\r\nPUB {own} 0\r\n\r\nPING\r\n".encode(),
            )
            await link.answer(link.ready)
            link.watch()
            undo.pop_all()
            return link

    def _damaged(self, error: str, gap: bool) -> None:
        self._losses.add("damaged", error=error)
        if gap:
            self._changed("gap")

    def _greeting(self, info: "_Info") -> bytes:
        user, password = self._address.user, self._address.password
        if info.proto < 1:
            raise ServiceError("NATS at this address is older than 1.2, which sends messages back to their sender")
        login = {"auth_token": user} if password is None else {"user": user, "pass": password}
        about = {"verbose": False, "pedantic": False, "echo": False, "protocol": 1, "lang": "python", "version": "1"}
        return msgspec.json.encode(about | {"name": self._subject(self._node)} | (login if user else {}))


class _NatsLink(Link):
    """A connection to a server: hands on what arrives, parts put together."""

    def __init__(
        self,
        usual: str,
        deliver: Deliver,
        refused: Callable[[str], None],
        damaged: Callable[[str, bool], None],
        caught_up: Callable[[], None],
        *,
        timeout: float,
        limit: int,
    ) -> None:
        super().__init__(timeout=timeout, limit=limit, caught_up=caught_up)
        self.info: asyncio.Future[_Info] = self._loop.create_future()
        self.ready: asyncio.Future[None] = self._loop.create_future()
        self._usual = usual
        self._deliver = deliver
        self._refused = refused
        self._damaged = damaged
        self._heads: dict[int, bytes] = {}
        self._parts = Parts()
        self._size = _PART
        self._rest = b""

    async def answer(self, future: asyncio.Future[T]) -> T:
        """Raises `ServiceError` when the connection is lost before."""
        both: list[asyncio.Future[Any]] = [future, self.lost]
        await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        if self.over:
            raise ServiceError(f"NATS cannot be used: {self.lost.result()}")
        return future.result()

    async def encrypt(self, context: ssl.SSLContext, host: str) -> None:
        """Goes on with TLS. Raises `OSError` when the other side cannot prove that it is `host`."""
        plain = self._transport
        if plain is None:
            raise ServiceError(f"NATS cannot be used: {self.lost.result()}")
        secret = await self._loop.start_tls(plain, self, context, server_hostname=host)
        if secret is None:
            raise ServiceError("NATS ended the connection instead of encrypting it")
        self.use(secret)

    def publish(self, subject: str, body: bytes) -> bool:
        """False when there is no room for it."""
        size = len(body)
        if size > self._size:
            return self._publish_parts(subject, body)
        head = self._heads.get(size) if subject == self._usual else None
        if head is None:
            head = f"PUB {subject} {size}\r\n".encode()
            if subject == self._usual and len(self._heads) < _HEADS:
                self._heads[size] = head
        return self.put(head, body, b"\r\n")

    def _publish_parts(self, subject: str, body: bytes) -> bool:
        """All of them or none."""
        pieces, parts = [], cut(body, self._size)
        for place, part in enumerate(parts):
            mark = self._parts.mark(place, len(parts))
            pieces += [f"PUB {subject} {mark} {len(part)}\r\n".encode(), part, b"\r\n"]
        return self.put(b"", b"".join(pieces), b"")

    def ping(self) -> None:
        self.write(b"PING\r\n")

    def parse(self, data: bytes) -> None:
        data = self._rest + data if self._rest else data
        try:
            self._rest = data[self._read(data) :]
        except (ValueError, msgspec.DecodeError):
            self._rest = b""
            self.end("it says what is not NATS's protocol")

    def _read(self, data: bytes) -> int:
        """Takes all that is complete, and returns where the rest begins. Raises `ValueError` for nonsense."""
        at, end = 0, len(data)
        while at < end:
            line_end = data.find(b"\r\n", at, at + _LINE)
            if line_end < 0:
                return _incomplete(at, end, _LINE)
            if not data.startswith(b"MSG ", at):
                self._take(data[at:line_end])
                at = end if self.over else line_end + 2
                continue
            words = data[at + 4 : line_end].split()
            if not 3 <= len(words) <= 4:
                raise ValueError(words)
            start = line_end + 2
            stop = start + int(words[-1])
            if stop > start + LARGEST or stop < start:
                raise ValueError(words)
            if stop + 2 > end:
                return at
            if len(words) == 4:
                self._take_part(words[2], data[start:stop])
            elif stop > start:
                self._deliver(data[start:stop])
            at = stop + 2
        return at

    def _take_part(self, mark: bytes, part: bytes) -> None:
        try:
            whole = self._parts.add(mark, part)
        except ValueError as error:
            self._damaged(str(error), False)
        except LookupError as error:
            self._damaged(str(error), True)
        else:
            if whole is not None:
                self._deliver(whole)

    def _take(self, line: bytes) -> None:
        """Raises `ValueError` for a line that is none of the protocol's."""
        word, _, rest = line.partition(b" ")
        match word.upper():
            case b"PING":
                self.write(b"PONG\r\n")
            case b"PONG":
                if not self.ready.done():
                    self.ready.set_result(None)
            case b"INFO":
                info = msgspec.json.decode(rest, type=_Info)
                self._size = max(1, min(info.max_payload, _PART))
                if not self.info.done():
                    self.info.set_result(info)
            case b"-ERR":
                self._end_refused(rest.decode(errors="replace").strip("' "))
            case b"+OK":
                pass
            case _:
                raise ValueError(word)

    def _end_refused(self, error: str) -> None:
        """NATS would go on after what somebody is not allowed to do. But what is lost from then on would be lost
        unseen, and the next connection shows whether it is allowed again."""
        if self.ready.done() and error.startswith("Permissions Violation"):
            self._refused(error)
        self.end(f"it says {error!r}")


def _incomplete(at: int, end: int, most: int) -> int:
    """Where to begin when there is more; raises `ValueError` when there is too much already."""
    if end - at >= most:
        raise ValueError("a line without an end")
    return at


open_url = NatsBroker
