"""What uvicorn leaves unbounded: requests without an end, and requests that never come."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from antiphon.realtime.server import Server
from antiphon.realtime.transports import http
from antiphon.realtime.transports.handshake import UpgradeRequest

HEAD = b"GET /else HTTP/1.1\r\nhost: 127.0.0.1\r\n"
UPLOAD = b"POST /else HTTP/1.1\r\nhost: 127.0.0.1\r\ntransfer-encoding: chunked\r\n\r\n"


class Connection:
    """A client made of bytes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    async def send(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()

    async def flood(self, piece: bytes) -> int:
        """Sends until the server hangs up, 64 MiB at most; how many bytes went out."""
        for sent in range(0, 64 << 20, len(piece)):
            try:
                await self.send(piece)
            except ConnectionError:
                return sent
        return 64 << 20

    async def rest(self) -> bytes:
        """Everything until the server closes."""
        async with asyncio.timeout(10):
            try:
                return await self._reader.read()
            except ConnectionResetError:
                return b""

    async def next(self, size: int) -> bytes:
        """So many bytes."""
        async with asyncio.timeout(10):
            return await self._reader.readexactly(size)

    async def answer(self) -> bytes:
        """The next answer, a 404."""
        async with asyncio.timeout(10):
            return await self._reader.readuntil(b"not found")

    def close(self) -> None:
        self._writer.close()


class Engine(asyncio.Protocol):
    """Stands where the socket's protocol stands, and says what it hears."""

    def __init__(self, **_: Any) -> None:
        self._transport: asyncio.Transport

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def upgrade(self, request: UpgradeRequest) -> None:
        """There is nothing to look at."""

    def data_received(self, data: bytes) -> None:
        if not data.startswith(b"GET "):
            self._transport.write(data)


@pytest.fixture
async def port() -> AsyncIterator[int]:
    async def nothing(_scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 404, "headers": [(b"content-length", b"9")]})
        await send({"type": "http.response.body", "body": b"not found"})

    async def at_once() -> None:
        """There is nobody to see out."""

    server = Server(nothing, Engine, at_once)
    await server.start("127.0.0.1", 0)
    yield server.port
    await server.stop()


@pytest.fixture
async def connection(port: int) -> AsyncIterator[Connection]:
    connection = Connection(*await asyncio.open_connection("127.0.0.1", port))
    yield connection
    connection.close()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "ARRIVAL_SECONDS", 0.2)


async def test_heads_that_are_too_large_are_one_line_a_second(port: int, logged: list[Any]) -> None:
    for _ in range(20):
        connection = Connection(*await asyncio.open_connection("127.0.0.1", port))
        await connection.send(HEAD + b"x: " + b"a" * 100_000)
        assert (await connection.rest()).startswith(b"HTTP/1.1 431 ")
        connection.close()
    said = [line for line in logged if line["event"] == "http.head_too_large"]
    assert 1 <= len(said) < 10
    assert said[0]["limit"] == http.HEAD_BYTES


async def test_one_header_without_an_end_is_refused(connection: Connection) -> None:
    await connection.send(HEAD + b"x: " + b"a" * 100_000)
    assert (await connection.rest()).startswith(b"HTTP/1.1 431 ")


@pytest.mark.parametrize(
    ("beginning", "piece"),
    [
        (HEAD + b"x: ", b"a" * 65_536),
        (HEAD, b"x: " + b"a" * 1000 + b"\r\n"),
        (UPLOAD + b"1;", b"a" * 65_536),
        (UPLOAD + b"0\r\n", b"x: " + b"a" * 1000 + b"\r\n"),
    ],
    ids=["one header", "many headers", "behind a size", "behind a body"],
)
async def test_nothing_without_an_end_is_kept(connection: Connection, beginning: bytes, piece: bytes) -> None:
    await connection.send(beginning)
    assert await connection.flood(piece) < 64 << 20


async def test_a_large_body_is_none_of_its_business(connection: Connection) -> None:
    await connection.send(b"POST /else HTTP/1.1\r\nhost: h\r\ncontent-length: 1000000\r\n\r\n" + b"a" * 1_000_000)
    assert (await connection.answer()).startswith(b"HTTP/1.1 404 ")


async def test_many_small_requests_on_one_connection_add_up_to_nothing(connection: Connection) -> None:
    await connection.send((HEAD + b"\r\n") * 5000)
    for _ in range(5000):
        assert (await connection.answer()).startswith(b"HTTP/1.1 404 ")


@pytest.mark.usefixtures("impatient")
async def test_a_head_that_does_not_come_is_not_waited_for(connection: Connection) -> None:
    await connection.send(HEAD)
    assert (await connection.rest()).startswith(b"HTTP/1.1 408 ")


@pytest.mark.usefixtures("impatient")
async def test_who_says_nothing_is_let_go_without_a_word(connection: Connection) -> None:
    assert await connection.rest() == b""


@pytest.mark.usefixtures("impatient")
async def test_a_second_request_that_stops_halfway_is_told_so(connection: Connection) -> None:
    await connection.send(HEAD + b"\r\n")
    assert (await connection.answer()).startswith(b"HTTP/1.1 404 ")
    await connection.send(HEAD)
    assert b"HTTP/1.1 408 " in await connection.rest()


@pytest.mark.usefixtures("impatient")
async def test_a_body_that_does_not_come_ends_the_connection(connection: Connection) -> None:
    await connection.send(b"POST /else HTTP/1.1\r\nhost: h\r\ncontent-length: 10\r\n\r\nhalf")
    assert b" 408 " not in await connection.rest()


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("pieces", [1, 2])
async def test_an_upgraded_connection_has_all_the_time(port: int, pieces: int) -> None:
    upgrading = Connection(*await asyncio.open_connection("127.0.0.1", port))
    request = HEAD + b"connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-key: any\r\n\r\n"
    for piece in (request,) if pieces == 1 else (request[:20], request[20:]):
        await upgrading.send(piece)
    silent = Connection(*await asyncio.open_connection("127.0.0.1", port))
    assert await silent.rest() == b""  # it came later, and its time is over
    await upgrading.send(b"still here")
    assert await upgrading.next(10) == b"still here"
    upgrading.close()
    silent.close()


LAST_UPLOAD = UPLOAD.replace(b"transfer-encoding", b"connection: close\r\ntransfer-encoding")
PIECE = b"10000\r\n" + b"a" * 65_536 + b"\r\n"


async def test_who_sends_all_before_it_reads_gets_the_answer_to_a_body_that_nobody_wants(
    connection: Connection,
) -> None:
    await connection.send(LAST_UPLOAD + PIECE)
    for _ in range(127):  # 8 MiB: more than what lies between the two
        await connection.send(PIECE)
    await connection.send(b"0\r\n\r\n")
    answer = await connection.rest()
    assert answer.startswith(b"HTTP/1.1 404 ")
    assert answer.endswith(b"not found")


async def test_a_body_that_nobody_wants_is_taken_up_to_a_bound(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "LINGER_BYTES", 1 << 20)
    await connection.send(LAST_UPLOAD)
    assert await connection.flood(PIECE) < 32 << 20


async def test_the_end_of_a_body_that_nobody_wants_is_waited_for_only_so_long(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "LINGER_SECONDS", 0.1)
    await connection.send(LAST_UPLOAD + PIECE)
    assert (await connection.rest()).endswith(b"not found")
    async with asyncio.timeout(10):
        while await connection.flood(PIECE) == 64 << 20:
            pass


async def test_a_request_that_is_there_waits_for_nothing(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "LINGER_SECONDS", 60.0)
    await connection.send(LAST_UPLOAD + b"3\r\nabc\r\n0\r\n\r\n")
    answer = await connection.rest()
    assert b"connection: close" in answer
    assert answer.endswith(b"not found")
