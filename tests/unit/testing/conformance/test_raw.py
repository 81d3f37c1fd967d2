"""The raw side of the runner: addresses, frames and answers as bytes."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.testing.conformance.raw import BINARY, TEXT, RawSocket, RoomAddress, frame, parsed, read_frame, request


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://127.0.0.1:4100", RoomAddress("127.0.0.1", 4100, False, "/socket")),
        ("ws://room.example/live/websocket", RoomAddress("room.example", 80, False, "/live")),
        ("wss://room.example/a/b/", RoomAddress("room.example", 443, True, "/a/b")),
        ("https://room.example:8443/socket/longpoll", RoomAddress("room.example", 8443, True, "/socket")),
        ("localhost:4000", RoomAddress("localhost", 4000, False, "/socket")),
        ("http://[::1]:4100/socket", RoomAddress("::1", 4100, False, "/socket")),
    ],
)
def test_addresses(url: str, expected: RoomAddress) -> None:
    assert RoomAddress.of(url) == expected


def test_an_address_without_a_server() -> None:
    with pytest.raises(ValueError, match="names no server: write it like http://"):
        RoomAddress.of("/socket")
    assert RoomAddress("::1", 4100, False, "/socket").authority == "[::1]:4100"


@given(st.sampled_from([TEXT, BINARY]), st.binary(max_size=70_000), st.booleans())
def test_a_frame_is_read_as_it_was_written(opcode: int, payload: bytes, masked: bool) -> None:
    async def read() -> tuple[int, bool, bytes]:
        reader = asyncio.StreamReader()
        reader.feed_data(frame(opcode, payload, masked=masked))
        return await read_frame(reader)

    assert asyncio.run(read()) == (0x80 | opcode, masked, payload)


def test_an_answer_may_come_in_chunks() -> None:
    answer = parsed(
        b'HTTP/1.1 200 OK\r\nX-A: b\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n{"a"\r\n3\r\n:1}\r\n0\r\n\r\n'
    )
    assert (answer.status, answer.headers["x-a"], answer.json()) == (200, "b", {"a": 1})
    assert parsed(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno").json() is None


Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def against(serve: Serve, ask: Callable[[RoomAddress], Awaitable[object]]) -> object:
    """What comes of asking a server that is one function."""
    served = asyncio.Event()

    async def serve_one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await serve(reader, writer)
        writer.close()
        await writer.wait_closed()
        served.set()

    server = await asyncio.start_server(serve_one, "127.0.0.1", 0)
    async with server:
        try:
            return await ask(RoomAddress("127.0.0.1", server.sockets[0].getsockname()[1], False, "/socket"))
        finally:
            await served.wait()


async def test_a_server_that_says_nothing_is_a_lost_connection() -> None:
    async def hang_up(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")

    with pytest.raises(ConnectionError, match="without an answer"):
        await against(hang_up, lambda address: request(address, "GET", "/"))
    with pytest.raises(ConnectionError, match="without an answer"):
        await against(hang_up, lambda address: RawSocket.open(address, "/", {}))


@pytest.mark.parametrize("said", [b"what?\r\n\r\n", b"HTTP/1.1 abc\r\n\r\n", b"x" * 70_000 + b"\r\n\r\n"], ids=len)
async def test_a_server_that_speaks_something_else_is_a_lost_connection(said: bytes) -> None:
    async def mumble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(said)
        await writer.drain()

    with pytest.raises(ConnectionError, match="not HTTP"):
        await against(mumble, lambda address: request(address, "GET", "/"))
    with pytest.raises(ConnectionError, match="not HTTP"):
        await against(mumble, lambda address: RawSocket.open(address, "/", {}))


async def test_an_answer_that_is_cut_off_is_a_lost_connection() -> None:
    with pytest.raises(ConnectionError, match="in the middle"):
        parsed(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nno")


async def test_a_refusal_is_read_on_a_connection_that_stays() -> None:
    """granian keeps it for another request."""

    async def stay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 7\r\n\r\nnot you")
        await reader.read()

    async def ask(address: RoomAddress) -> RawSocket:
        socket = await RawSocket.open(address, "/", {})
        socket.close()
        return socket

    async with asyncio.timeout(5):
        socket = await against(stay, ask)
    assert isinstance(socket, RawSocket)
    assert (socket.answer.status, socket.answer.body) == (403, b"not you")


async def test_an_upgrade_without_the_proof_is_none() -> None:
    async def wrong(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: wrong\r\n\r\n")
        await writer.drain()
        await reader.read()

    async def ask(address: RoomAddress) -> RawSocket:
        socket = await RawSocket.open(address, "/", {})
        socket.close()
        return socket

    socket = await against(wrong, ask)
    assert isinstance(socket, RawSocket)
    assert (socket.answer.status, socket.accepted) == (101, False)


async def test_a_message_may_come_in_pieces() -> None:
    async def pieces(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 101 -\r\n\r\n")
        for first, payload in ((0x01, b"on"), (0x00, b"e m"), (0x80, b"essage")):
            writer.write(frame(TEXT, payload, first=first, masked=False))
        await reader.read()

    async def ask(address: RoomAddress) -> tuple[int, bytes]:
        socket = await RawSocket.open(address, "/", {})
        message = await socket.receive()
        socket.close()
        return message

    assert await against(pieces, ask) == (TEXT, b"one message")
