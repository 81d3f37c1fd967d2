"""What a connection is until its first bytes are there: most of them ask for a WebSocket and nothing else.

Whoever comes with a whole upgrade request, as every client does, is handed on at once. Making uvicorn's protocol for
it, only to be rid of it again, would cost as much as the rest of the hand-shake. Whatever else comes, or is malformed,
goes that way from its first byte, and gets what it would get from uvicorn.
"""

import asyncio
from typing import Any, ClassVar

import httptools

from antiphon.realtime.limits import Say, SparseLog
from antiphon.realtime.transports import http
from antiphon.realtime.transports.handshake import UpgradeRequest, requested

_SIGN = b"\r\nsec-websocket-key:"
"""Worth a closer look: a request with this in it and no upgrade is rare."""


class NewConnection(asyncio.Protocol):
    """uvicorn makes it, with the `keywords` that every protocol of its gets, and calls it. `connection_class` makes the
    subclass of one server."""

    __slots__ = ("_connections", "_deadline", "_keywords", "_transport")

    say: ClassVar[Say]

    def __init__(self, **keywords: Any) -> None:
        self._keywords = keywords
        self._connections: set[asyncio.Protocol] = keywords["server_state"].connections
        self._transport: asyncio.Transport
        self._deadline: asyncio.TimerHandle

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        self._transport = transport
        self._connections.add(self)
        self._deadline = asyncio.get_running_loop().call_later(http.ARRIVAL_SECONDS, transport.close)

    def data_received(self, data: bytes) -> None:
        self._let_go()
        transport, request = self._transport, upgrade_in(data)
        if request is None:
            protocol = http.RequestProtocol(self.say, **self._keywords)
            protocol.connection_made(transport)
            protocol.expect_by(self._deadline.when())
            transport.set_protocol(protocol)
            protocol.data_received(data)
        else:
            upgraded = self._keywords["config"].ws_protocol_class(**self._keywords)
            upgraded.connection_made(transport)
            upgraded.upgrade(request)
            transport.set_protocol(upgraded)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's call
        self._let_go()

    def shutdown(self) -> None:
        """uvicorn is stopping, and nothing was asked yet."""
        self._transport.close()

    def _let_go(self) -> None:
        self._connections.discard(self)
        self._deadline.cancel()


def connection_class() -> type[NewConnection]:
    """What to hand to uvicorn as `http=`. The connections of a server share what is said of them now and then."""
    return type("HttpConnection", (NewConnection,), {"__slots__": (), "say": SparseLog().say})


def upgrade_in(data: bytes) -> UpgradeRequest | None:
    """The request for a WebSocket that `data` is from its first byte to its last, None when it is anything else."""
    whole = data.startswith(b"GET ") and data.endswith(b"\r\n\r\n") and len(data) <= http.HEAD_BYTES
    if not whole or _SIGN not in data.lower():
        return None
    head = _Head()
    parser = httptools.HttpRequestParser(head)
    try:
        parser.feed_data(data)
    except httptools.HttpParserUpgrade:
        request = requested("GET", head.url, head.headers)
        # Other protocols can be asked for with the same words.
        return request if request.headers.get("upgrade", "").lower() == "websocket" else None
    except httptools.HttpParserError:
        return None
    return None


class _Head:
    """What the parser has found."""

    __slots__ = ("headers", "url")

    def __init__(self) -> None:
        self.url = b""
        self.headers: list[tuple[bytes, bytes]] = []

    def on_url(self, url: bytes) -> None:
        self.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name, value))
