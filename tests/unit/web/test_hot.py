"""What machines ask for again and again: the same answer as from anywhere else, whatever the connection is like."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from starlette.responses import PlainTextResponse, Response

from antiphon.realtime.admission.origin import OriginPolicy
from antiphon.realtime.config import PhoenixConfig
from antiphon.realtime.server import Server
from antiphon.telemetry.logs import get_logger
from antiphon.web.guard import Guard
from antiphon.web.hot import HotPaths, Prepared

log = get_logger(__name__)

ORDINARY = Response(b'{"is": "well"}', headers={"cache-control": "no-store"})
PREPARED = Prepared(ORDINARY)
HOST = b"host: 127.0.0.1\r\n"


@pytest.fixture
async def port() -> AsyncIterator[int]:
    async def ordinary() -> Response:
        return ORDINARY

    async def prepared() -> Response:
        return PREPARED

    async def at_once() -> None:
        """There is nobody to see out."""

    class Never(asyncio.Protocol):
        """Nobody asks for a socket."""

    async def rest(scope: Any, receive: Any, send: Any) -> None:
        await PlainTextResponse(f"{scope['client'][0]} over {scope['scheme']}")(scope, receive, send)

    hot = {("GET", "/ordinary"): ordinary, ("GET", "/prepared"): prepared}
    guard = Guard(rest, frozenset(), OriginPolicy(PhoenixConfig()), log.warning)
    server = Server(HotPaths(hot, guard), Never, at_once)
    await server.start("127.0.0.1", 0)
    yield server.port
    await server.stop()


async def told(port: int, data: bytes, *, ends: bool = True) -> bytes:
    """What comes back for `data`, on a connection whose client says no more."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(data)
    if not ends:
        writer.write(b"GET /ordinary HTTP/1.1\r\nconnection: close\r\n" + HOST + b"\r\n")
    async with asyncio.timeout(10):
        answer = await reader.read()
    writer.close()
    return answer


def undated(answer: bytes) -> list[bytes]:
    return [line for line in answer.split(b"\r\n") if not line.startswith(b"date: ")]


@pytest.mark.parametrize("method", [b"GET", b"HEAD"])
@pytest.mark.parametrize("kind", [b"HTTP/1.1\r\nconnection: close\r\n", b"HTTP/1.0\r\n"], ids=["close", "1.0"])
async def test_a_prepared_answer_is_the_ordinary_one(port: int, method: bytes, kind: bytes) -> None:
    ordinary, prepared = [
        await told(port, method + b" /" + name + b" " + kind + HOST + b"\r\n") for name in (b"ordinary", b"prepared")
    ]
    assert sorted(undated(prepared)) == sorted(undated(ordinary))
    assert prepared.count(b"\r\ndate: ") == ordinary.count(b"\r\ndate: ") == 1
    assert (b"well" in prepared) is (method == b"GET")


async def test_answers_to_many_requests_come_in_their_order(port: int) -> None:
    names = [b"prepared", b"ordinary", b"prepared", b"prepared", b"else", b"prepared"]
    requests = b"".join(b"GET /" + name + b" HTTP/1.1\r\n" + HOST + b"\r\n" for name in names)
    answer = await told(port, requests, ends=False)
    assert answer.count(b"HTTP/1.1 200 OK\r\n") == 7
    assert answer.count(b'{"is": "well"}') == 6
    assert answer.split(b"HTTP/1.1 200 OK")[5].endswith(b"127.0.0.1 over http")


async def test_a_body_that_nobody_reads_does_not_become_a_request(port: int) -> None:
    request = b"GET /prepared HTTP/1.1\r\ncontent-length: 20\r\n" + HOST + b"\r\nGET /else HTTP/1.1\r\n"
    answer = await told(port, request, ends=False)
    assert answer.count(b"HTTP/1.1 200 OK\r\n") == 2


@pytest.mark.parametrize("path", [b"/prepared", b"/ordinary"])
async def test_a_name_that_is_not_ours_is_refused_there_too(port: int, path: bytes) -> None:
    answer = await told(port, b"GET " + path + b" HTTP/1.1\r\nhost: evil.example\r\nconnection: close\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 403 ")


async def test_another_method_is_no_business_of_it(port: int) -> None:
    answer = await told(port, b"POST /prepared HTTP/1.1\r\nconnection: close\r\n" + HOST + b"\r\n")
    assert answer.endswith(b"127.0.0.1 over http")


async def test_a_proxy_on_this_machine_is_believed_who_its_client_is(port: int) -> None:
    forwarded = b"x-forwarded-for: 192.0.2.7\r\nx-forwarded-proto: https\r\n"
    answer = await told(port, b"GET /else HTTP/1.1\r\nconnection: close\r\n" + HOST + forwarded + b"\r\n")
    assert answer.endswith(b"192.0.2.7 over https")
