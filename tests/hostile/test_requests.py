"""Bytes at the listening port that are no request, two requests in one, or half of one."""

import asyncio
import re
import time
import urllib.request
from collections.abc import Iterator
from typing import Any, Self

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.hostile.effort import EFFORT, SECONDS
from tests.raw_frames import client_frame
from tests.serving import LONGEST, Served

HOST = b"Host: localhost\r\n"
SMUGGLED = b"GET /api/v1/models HTTP/1.1\r\nHost: localhost\r\n\r\n"
UPGRADE = (
    b"GET /socket/websocket?vsn=2.0.0 HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
PATCH = b"PATCH /api/v1/conversations/01M7YTFAF3A5C20VBDC381VVAW HTTP/1.1\r\n" + HOST


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """One server for all of them: whatever one does to it, the next one sees."""
    served = Served(tmp_path_factory.mktemp("requests"), ANTIPHON_REALTIME__TRANSPORT__CLOSE_SECONDS="0.2")
    try:
        served.start()
        yield served
        assert served.process.poll() is None
        assert served.stop() == 0
    finally:
        served.end()
    assert '"level":"error"' not in served.log
    assert "Traceback" not in served.log


class Caller:
    """A connection to the port, and everything that came back on it."""

    def __init__(self, server: Served) -> None:
        self._port = int(server.url.rpartition(":")[2])
        self.heard = b""

    async def __aenter__(self) -> Self:
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self._port)
        return self

    async def __aexit__(self, *_: object) -> None:
        self.writer.transport.abort()

    async def says(self, data: bytes) -> None:
        """However much of it the server takes before it has heard enough."""
        try:
            self.writer.write(data)
            await self.writer.drain()
        except ConnectionError:
            pass

    async def hears(self, expected: bytes) -> None:
        """Reads until `expected` has come, or the connection is closed."""
        async with asyncio.timeout(LONGEST):
            while expected not in self.heard and (more := await self._more()):
                self.heard += more

    async def hears_often(self, expected: bytes, times: int) -> None:
        """Reads until `expected` has come so many times, or the connection is closed."""
        async with asyncio.timeout(LONGEST):
            while self.heard.count(expected) < times and (more := await self._more()):
                self.heard += more

    async def hears_the_end(self) -> None:
        async with asyncio.timeout(LONGEST):
            while more := await self._more():
                self.heard += more

    async def listens(self) -> None:
        """Takes what is there already."""
        try:
            async with asyncio.timeout(0.002):
                await self.hears_the_end()
        except TimeoutError:
            pass

    @property
    def statuses(self) -> list[int]:
        """Of all answers that began."""
        return [int(status) for status in re.findall(rb"HTTP/1\.[01] (\d{3}) ", self.heard)]

    async def _more(self) -> bytes:
        try:
            return await self.reader.read(65536)
        except ConnectionError:
            return b""


# --- two requests in one ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "request_",
    [
        PATCH + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + SMUGGLED,
        PATCH + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n" + SMUGGLED,
        PATCH + b"Content-Length: 0\r\nContent-Length: 49\r\n\r\n" + SMUGGLED,
        PATCH + b"Content-Length: 0, 49\r\n\r\n" + SMUGGLED,
        PATCH + b"Content-Length: +0\r\n\r\n" + SMUGGLED,
        PATCH + b"Content-Length: -1\r\n\r\n" + SMUGGLED,
        PATCH + b"Content-Length: 0x31\r\n\r\n" + SMUGGLED,
        PATCH + b"Content-Length: 99999999999999999999999\r\n\r\n" + SMUGGLED,
        PATCH + b"Content-Length : 0\r\n\r\n" + SMUGGLED,
        PATCH + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n" + SMUGGLED,
        PATCH + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n" + SMUGGLED,
        PATCH + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n" + SMUGGLED,
        PATCH + b"Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n\r\n" + SMUGGLED,
        PATCH + b"Transfer-Encoding:\x0bchunked\r\n\r\n0\r\n\r\n" + SMUGGLED,
        PATCH + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n\r\n" + SMUGGLED,
        PATCH + b"Transfer-Encoding: chunked\r\n\r\n-1\r\n\r\n" + SMUGGLED,
        PATCH + b"Transfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFFF\r\n" + SMUGGLED,
        PATCH + b"Transfer-Encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n" + SMUGGLED,
        PATCH + b"X: a\x00b\r\n\r\n" + SMUGGLED,
        PATCH + b"X\x00: ab\r\n\r\n" + SMUGGLED,
        PATCH + b"X y: ab\r\n\r\n" + SMUGGLED,
        PATCH + b" Folded: ab\r\n\r\n" + SMUGGLED,
    ],
)
async def test_a_request_inside_another_is_never_answered(server: Served, request_: bytes) -> None:
    """RFC 9112, 6.3 and 11.2: what has two lengths, or none that can be read, ends the connection."""
    async with Caller(server) as caller:
        await caller.says(request_)
        await caller.hears_the_end()
    assert len(caller.statuses) <= 1
    assert all(400 <= status < 500 for status in caller.statuses)
    assert b'"default"' not in caller.heard


# --- requests of odd kinds ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"CONNECT evil.example:443 HTTP/1.1\r\nHost: evil.example:443\r\n\r\n", 400),
        (b"CONNECT localhost:443 HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
        (b"OPTIONS * HTTP/1.1\r\n" + HOST + b"\r\n", 404),
        (b"TRACE / HTTP/1.1\r\n" + HOST + b"\r\n", 404),
        (b"GET http://evil.example/api/v1/models HTTP/1.1\r\nHost: evil.example\r\n\r\n", 403),
        (b"GET /%00 HTTP/1.1\r\n" + HOST + b"\r\n", 404),
        (b"GET /%ff%fe HTTP/1.1\r\n" + HOST + b"\r\n", 404),
        (b"GET /api/v1/conversations/%2e%2e/%2e%2e HTTP/1.1\r\n" + HOST + b"\r\n", 404),
        (b"GET /api/v1/conversations?limit=%ff&%00=%00 HTTP/1.1\r\n" + HOST + b"\r\n", 422),
        (b"GET /" + b"a" * 60_000 + b" HTTP/1.1\r\n" + HOST + b"\r\n", 404),
        (b"GET / HTTP/1.1\r\n" + HOST + b"X: " + b"a" * 70_000 + b"\r\n\r\n", 431),
        (b"GET / HTTP/1.1\r\n" + HOST + b"a: b\r\n" * 20_000 + b"\r\n", 431),
        (b"GET /health HTTP/1.1\r\n" + HOST + b"Upgrade: h2c\r\nConnection: Upgrade\r\n\r\n", 200),
        (b"GET /health HTTP/1.1\r\n" + HOST + b"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n", 404),
        (UPGRADE.replace(b"Version: 13", b"Version: 8"), 400),
        (UPGRADE.replace(b"dGhlIHNhbXBsZSBub25jZQ==", b"x"), 400),
        (UPGRADE.replace(b"vsn=2.0.0", b"vsn=%zz"), 400),
        (UPGRADE.replace(b"vsn=2.0.0", b"vsn=" + b"9" * 5000), 403),
        (UPGRADE.replace(b"vsn=2.0.0", b"vsn=" + b"9" * 5000 + b".0.0"), 403),
        (UPGRADE.replace(b"Host: localhost", b"Host: localhost:" + b"9" * 5000 + b"\r\nOrigin: http://localhost"), 403),
        (UPGRADE.replace(b"vsn=2.0.0", b"vsn=2.0.0&a" + b"[b]" * 500 + b"=1"), 400),
        (UPGRADE.replace(b"Host: localhost", b"Host: evil.example\r\nOrigin: http://evil.example"), 403),
        (UPGRADE, 101),
    ],
)  # fmt: skip
async def test_an_odd_request_gets_its_answer(server: Served, request_: bytes, status: int) -> None:
    async with Caller(server) as caller:
        await caller.says(request_)
        await caller.hears(b"\r\n\r\n")
    assert caller.statuses[:1] == [status]


async def test_what_is_said_at_once_is_answered_in_order(server: Served) -> None:
    requests = [
        f"GET /api/v1/conversations?limit={number} HTTP/1.1\r\nHost: localhost\r\n\r\n" for number in range(100)
    ]
    async with Caller(server) as caller:
        await caller.says("".join(requests).encode() + b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
        await caller.hears(b"healthy")
    assert caller.statuses == [422, *[200] * 100]


async def test_garbage_behind_a_request_does_not_pass_for_its_answer(server: Served) -> None:
    """RFC 9112, 9.3.2: answers come in the order of the requests, so a refusal must not overtake."""
    async with Caller(server) as caller:
        await caller.says(b"GET /api/v1/models HTTP/1.1\r\nHost: localhost\r\n\r\n\x00\x01\r\n\r\n")
        await caller.hears_the_end()
    assert caller.statuses in ([], [200])


async def test_garbage_behind_an_upgrade_ends_that_socket_only(server: Served) -> None:
    async with Caller(server) as caller:
        await caller.says(UPGRADE)
        await caller.hears(b"\r\n\r\n")
        await caller.says(b"\x00" * 100)
        await caller.hears_the_end()
    assert caller.statuses == [101]
    assert caller.heard.endswith(b"\x88\x02\x03\xea"), "a close frame with 1002"


async def test_many_that_never_finish_keep_nobody_waiting(server: Served) -> None:
    beginnings = [
        b"",
        b"G",
        b"GET / HTTP/1.1\r\nHo",
        PATCH,
        PATCH + b"Content-Length: 500\r\n\r\n{",
        UPGRADE[:-2],
        UPGRADE,
    ]
    callers = [Caller(server) for _ in range(140)]
    for number, caller in enumerate(callers):
        await caller.__aenter__()
        await caller.says(beginnings[number % len(beginnings)])
    await asyncio.to_thread(health, server)
    for caller in callers:
        await caller.__aexit__()


WIRE = st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=30) | st.sampled_from(
    [
        "vsn=" + "9" * 5000 + ".0.0",
        "vsn=2.0.0&" + "a[]=1&" * 500,
        "vsn=2.0.0&a[b][c]=%00",
        "vsn[]=2.0.0",
        "[::1]:99999",
        "%2",
    ]
)


@pytest.mark.timeout(SECONDS)
def test_no_handshake_is_more_than_refused(server: Served) -> None:
    with asyncio.Runner() as runner:

        async def shake(request: bytes) -> list[int]:
            async with Caller(server) as caller:
                await caller.says(request)
                await caller.hears(b"\r\n\r\n")
            return caller.statuses

        @settings(max_examples=150 * EFFORT)
        @given(
            query=WIRE, host=st.just("localhost") | WIRE, origin=WIRE, key=st.just("dGhlIHNhbXBsZSBub25jZQ==") | WIRE
        )
        def attack(query: str, host: str, origin: str, key: str) -> None:
            head = (
                f"GET /socket/websocket?{query} HTTP/1.1\r\nHost: {host}\r\nOrigin: {origin}\r\nConnection: Upgrade\r\n"
            )
            rest = f"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n"
            assert set(runner.run(shake((head + rest).encode()))) <= {101, 400, 403}

        attack()


# --- whatever else there is ---------------------------------------------------------------------------------------

LINES = st.sampled_from([
    b"GET / HTTP/1.1", b"HEAD /health HTTP/1.1", b"GET /api/v1/models HTTP/1.0", b"POST /api/v1/conversations HTTP/1.1",
    b"DELETE /api/v1/conversations/01M7YTFAF3A5C20VBDC381VVAW HTTP/1.1", b"PRI * HTTP/2.0", b"GET / HTTP/9.9", b"GET /",
    b"GET http:///// HTTP/1.1", b"GET //evil.example/ HTTP/1.1", b"GET /socket/websocket HTTP/1.1", b"\x16\x03\x01",
    b"GET /socket/websocket?vsn=2.0.0 HTTP/1.1", b"GET /c/%2e%2e%2f%2e%2e HTTP/1.1", b"GET ?x HTTP/1.1",
    b"PATCH /api/v1/conversations/01M7YTFAF3A5C20VBDC381VVAW HTTP/1.1", b"GET \xff\xfe HTTP/1.1",
    b"M-SEARCH * HTTP/1.1",
])  # fmt: skip
HEADERS = st.sampled_from([
    b"Host: localhost", b"Host: localhost", b"Host: localhost", b"Host:", b"Host: evil", b"Host: [", b"Host: \xff",
    b"Content-Length: 5", b"Content-Length: 0", b"Content-Length: x", b"Transfer-Encoding: chunked",
    b"Expect: 100-continue",
    b"Connection: close", b"Connection: keep-alive", b"Connection: Upgrade", b"Upgrade: websocket", b"Upgrade: \x00",
    b"Sec-WebSocket-Version: 13", b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", b"Sec-WebSocket-Key: x",
    b"Origin: null", b"Origin: http://[", b"Content-Type: application/json", b"Content-Type: ;;;",
    b"Content-Encoding: gzip", b": empty", b"Accept-Encoding: gzip;q=\xff", b"If-None-Match: \"", b"\x00", b"",
    b"Cookie: " + b"a=b;" * 5000, b"X: " + b"y" * 8000,
])  # fmt: skip
BODIES = st.sampled_from([
    b"", b"{}", b"{\"a", b"5\r\nhello\r\n0\r\n\r\n", b"ffffffff\r\n", b"\x81\x80\x00\x00\x00\x00", b"\x88\x80",
    b"\xff" * 64, b"0\r\nTrailer: x\r\n\r\n", SMUGGLED,
]) | st.binary(max_size=200)  # fmt: skip


@st.composite
def requests(draw: st.DrawFn) -> bytes:
    """Something like a request, some of whose bytes were changed, doubled or lost on the way."""
    end = draw(st.sampled_from([b"\r\n", b"\r\n", b"\r\n", b"\n", b"\r"]))
    head = [draw(LINES), *draw(st.lists(HEADERS, max_size=6))]
    data = bytearray(end.join([*head, b"", b""]) + draw(BODIES))
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(data)))
        data[at : at + draw(st.integers(0, 3))] = draw(st.binary(max_size=3))
    return bytes(data)


@pytest.mark.timeout(SECONDS)
def test_nothing_that_is_said_disturbs_anybody(server: Served) -> None:
    before = open_sockets(server)

    async def say(said: list[bytes]) -> list[int]:
        callers = [Caller(server) for _ in said]
        for caller in callers:
            await caller.__aenter__()
        for caller, data in zip(callers, said, strict=True):
            await caller.says(data)
        # Whoever is asked last answers last: by then it has heard all of them.
        await asyncio.to_thread(health, server)
        for caller in callers:
            await caller.listens()
            await caller.__aexit__()
        return [status for caller in callers for status in caller.statuses]

    with asyncio.Runner() as runner:

        @settings(max_examples=300 * EFFORT)
        @given(said=st.lists(requests() | st.binary(max_size=300), min_size=1, max_size=12))
        @example(said=[b"\x00" * 70_000, b"\r\n" * 40_000, b"GET / HTTP/1.1\r\n" * 2])
        def attack(said: list[bytes]) -> None:
            statuses = runner.run(say(said))
            assert all(status < 500 for status in statuses), statuses

        attack()
        runner.run(settled(server, before))


async def settled(server: Served, sockets: dict[str, float]) -> None:
    """What was open is closed again."""
    async with asyncio.timeout(LONGEST):
        while open_sockets(server) != sockets:
            await asyncio.sleep(0.02)


def health(server: Served) -> None:
    with urllib.request.urlopen(f"{server.url}/health", timeout=LONGEST) as answer:
        assert answer.status == 200


def open_sockets(server: Served) -> dict[str, float]:
    with urllib.request.urlopen(f"{server.url}/metrics", timeout=LONGEST) as answer:
        text: Any = answer.read().decode()
    names = ("antiphon_ws_sockets", "antiphon_ws_channels", "process_open_fds")
    return {name: float(re.findall(rf"^{name} (\S+)$", text, re.MULTILINE)[0]) for name in names}


REFUSED_PAGE = UPGRADE.replace(b"Host: localhost", b"Host: localhost\r\nOrigin: https://evil.example")
TURNED_AWAY = {
    "realtime.origin_refused": REFUSED_PAGE,
    "realtime.version_refused": UPGRADE.replace(b"vsn=2.0.0", b"vsn=9.0.0"),
    "realtime.unmatched_topic": UPGRADE,
    "http.host_refused": b"GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n",
    "http.origin_refused": b"DELETE / HTTP/1.1\r\n" + HOST + b"Origin: https://evil.example\r\n\r\n",
}


@pytest.mark.parametrize("event", TURNED_AWAY)
async def test_whoever_is_turned_away_again_and_again_does_not_fill_the_log(server: Served, event: str) -> None:
    times, began, before = 0, time.monotonic(), server.log.count(event)
    # What was asked before may have been said a moment ago: then the first line of these comes a second behind it.
    while (times < 100 or server.log.count(event) == before) and time.monotonic() < began + LONGEST:
        times += 1
        async with Caller(server) as caller:
            await caller.says(TURNED_AWAY[event])
            await caller.hears(b"HTTP/1.1 ")
            if event == "realtime.unmatched_topic":
                await caller.says(client_frame(0x81, b'["1","1","nowhere","phx_join",{}]'))
                await caller.hears(b"unmatched")
    seconds = time.monotonic() - began
    assert 1 <= server.log.count(event) - before <= seconds + 1 < times


# --- what takes long to read --------------------------------------------------------------------------------------


async def test_a_neighbour_is_answered_between_the_frames_of_whoever_sends_only_brackets(server: Served) -> None:
    frames, heartbeat = 12, client_frame(0x81, b'[null,"1","phoenix","heartbeat",{}]')
    brackets = client_frame(0x81, b'[null,"1","nowhere","x",{"a":[' + b"[[[[]]]]," * 50_000 + b"0]}]")
    async with Caller(server) as neighbour, Caller(server) as other:
        for caller in (neighbour, other):
            await caller.says(UPGRADE)
            await caller.hears(b"\r\n\r\n")
            caller.heard = b""
        sending = asyncio.create_task(other.says(brackets * frames))
        async with asyncio.TaskGroup() as group:
            hearing = group.create_task(other.hears_often(b"unmatched topic", frames))
            answers = 0
            while not hearing.done():
                await neighbour.says(heartbeat)
                await neighbour.hears_often(b"phx_reply", answers + 1)
                answers += 1
        await sending
    assert answers > frames / 2, "it waited for several of them each time"
