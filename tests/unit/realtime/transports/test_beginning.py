"""What the first bytes of a connection tell: whether they are a request for a WebSocket, and nothing else."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from antiphon.realtime.server import Server
from antiphon.realtime.transports import http
from antiphon.realtime.transports.beginning import upgrade_in
from antiphon.realtime.transports.handshake import UpgradeRequest, parse_request

REQUEST = (
    b"GET /socket/websocket?vsn=2.0.0&a=%20b HTTP/1.1\r\nHost: h\r\nConnection: keep-alive, Upgrade\r\n"
    b"Upgrade: WebSocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    b"X-Twice: a\r\nx-twice:  b \r\nX-Name: \xe9\r\n\r\n"
)


def test_a_whole_request_is_read_as_it_is_read_behind_uvicorn() -> None:
    assert upgrade_in(REQUEST) == parse_request(REQUEST)


@pytest.mark.parametrize("size", [1, 20, 60, len(REQUEST) - 1])
def test_a_part_of_one_is_left_to_uvicorn(size: int) -> None:
    assert upgrade_in(REQUEST[:size]) is None


@pytest.mark.parametrize(
    ("what", "instead"),
    [
        (b"GET", b"POST"),
        (b"GET", b"CONNECT"),
        (b"GET ", b"GET\0"),
        (b"HTTP/1.1", b"HTTP/9.9"),
        (b"keep-alive, Upgrade", b"keep-alive"),
        (b"Upgrade: WebSocket\r\n", b""),
        (b"WebSocket\r\n", b"h2c\r\n"),
        (b"Host: h", b"Host : h"),
        (b"Host: h\r\n", b"Host: h\r\n\r\n"),
        (b"X-Twice: a", b"X-Twice: \0"),
        (b"X-Twice: a", b"X-Twice: " + b"a" * http.HEAD_BYTES),
        (b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", b""),
    ],
)
def test_whatever_else_it_is_is_left_to_uvicorn(what: bytes, instead: bytes) -> None:
    assert upgrade_in(REQUEST.replace(what, instead, 1)) is None


class Noted(asyncio.Protocol):
    """Stands where the socket's protocol stands."""

    def __init__(self, **_: Any) -> None:
        self._transport: asyncio.Transport

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def upgrade(self, request: UpgradeRequest) -> None:
        self._transport.write(request.path.encode())

    def data_received(self, data: bytes) -> None:
        self._transport.write(data)


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async def nothing(_scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 404, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body"})

    async def at_once() -> None:
        """There is nobody to see out."""

    server = Server(nothing, Noted, at_once)
    await server.start("127.0.0.1", 0)
    yield server
    await server.stop()


async def test_what_comes_behind_the_request_belongs_to_the_socket(server: Server) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(REQUEST)
    async with asyncio.timeout(10):
        assert await reader.readexactly(len("/socket/websocket")) == b"/socket/websocket"
        writer.write(b"GET is a word like others")
        assert await reader.readexactly(25) == b"GET is a word like others"
    writer.close()


async def test_a_client_that_has_not_said_anything_does_not_hold_up_a_stop(server: Server) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    async with asyncio.timeout(3):
        await server.stop()
        assert await reader.read() == b""
    writer.close()


async def test_one_that_goes_before_it_has_said_anything_is_let_go(server: Server) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write_eof()
    async with asyncio.timeout(10):
        assert await reader.read() == b""
    writer.close()
