"""permessage-deflate over real connections: the cases of the Autobahn test suite, and the clients people have.

Groups 12 and 13 of Autobahn send the same kinds of text, picture and document in all sizes, whole and in fragments,
under seven different offers. Windows of 8 bits, which it asks for too, are declined: the shared frames have one of 12.
"""

import asyncio
import hashlib
import json
import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import aiohttp
import pytest
from websockets.asyncio.client import connect
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory

from antiphon.realtime.transports import deflate
from tests.echoing import echoing
from tests.programs import printed
from tests.raw_frames import RSV1, RawClient, client_frame, inflated, squeezed
from tests.rules import rule

NODE = Path(__file__).parent / "node"
LIMIT = 256 * 1024
ROUNDS = 3

TEXT, BINARY, LAST = 0x81, 0x82, 0x80

LINE = "Habe nun, ach! Philosophie, Juristerei und Medizin, und leider auch Theologie durchaus studiert. "
RECORD = {"id": 4711, "name": "Grete", "tags": ["a", "b"], "nested": {"on": True, "of": None, "size": 1.5}}
DATA: dict[str, bytes] = {
    "text": (LINE * 40).encode(),
    "picture": b"".join(bytes((x * y >> 6) & 0xFF for x in range(128)) for y in range(128)),
    "document": os.urandom(16 * 1024),
    "json": json.dumps([{**RECORD, "number": number} for number in range(200)]).encode(),
    "html": b"".join(b"<tr><td class='n'>%d</td><td>&nbsp;</td></tr>\n" % number for number in range(400)),
}
"""What stands for Autobahn's five files, in its order."""

WHOLE = [(size, 0) for size in (16, 64, 256, 1024, 4096, 8192, 16_384, 32_768, 65_536, 131_072)]
IN_FRAGMENTS = [
    (8192, 256), (16_384, 256), (32_768, 256), (65_536, 256), (131_072, 256),
    (131_072, 1024), (131_072, 4096), (131_072, 32_768),
]  # fmt: skip
SIZES = WHOLE + IN_FRAGMENTS
"""(size of a message, size of its fragments)."""


@pytest.fixture(scope="module")
async def port() -> AsyncIterator[int]:
    async with echoing(compression=True, max_message_bytes=LIMIT, close_seconds=1.0) as port:
        yield port


def extensions(offer: str) -> str:
    return f"sec-websocket-extensions: {offer}\r\n"


def agreed(client: RawClient) -> bool:
    return "sec-websocket-extensions: permessage-deflate; server_no_context_takeover" in client.answer


def in_fragments(first: int, payload: bytes, size: int) -> bytes:
    parts = (
        [payload[start : start + size] for start in range(0, len(payload), size or len(payload))] if size else [payload]
    )
    firsts = [first & ~LAST, *([0x00] * (len(parts) - 1))]
    firsts[-1] |= LAST
    return b"".join(client_frame(head, part) for head, part in zip(firsts, parts, strict=True))


async def echo(client: RawClient, first: int, data: bytes, size: int, fragment: int) -> None:
    """Messages of the data, from one place after the other."""
    endless = data * (size // len(data) + 2)
    for number in range(ROUNDS):
        start = number * size % len(data)
        message = endless[start : start + size]
        if agreed(client):
            await client.send(in_fragments(RSV1 | first, squeezed(message), fragment))
        else:
            await client.send(in_fragments(first, message, fragment))
        assert inflated(*await client.frame()) == (first, message)


@pytest.mark.parametrize(
    ("name", "size", "fragment"),
    [
        pytest.param(name, size, fragment, id=f"12.{group}.{index}")
        for group, name in enumerate(DATA, 1)
        for index, (size, fragment) in enumerate(SIZES, 1)
    ],
)
async def test_all_kinds_of_messages(port: int, name: str, size: int, fragment: int) -> None:
    client = await RawClient.connect(port, headers=extensions("permessage-deflate; client_max_window_bits"))
    assert agreed(client)
    await echo(client, TEXT if name == "json" else BINARY, DATA[name], size, fragment)
    client.abort()


NO_TAKEOVER = "; server_no_context_takeover"
OFFERS = {
    "permessage-deflate": True,
    f"permessage-deflate{NO_TAKEOVER}": True,
    "permessage-deflate; server_max_window_bits=8": False,
    "permessage-deflate; server_max_window_bits=15": True,
    f"permessage-deflate{NO_TAKEOVER}; server_max_window_bits=8": False,
    f"permessage-deflate{NO_TAKEOVER}; server_max_window_bits=15": True,
    f"permessage-deflate{NO_TAKEOVER}; server_max_window_bits=8, permessage-deflate{NO_TAKEOVER}": True,
}
"""Autobahn's seven, and whether we agree. The last makes several, of which it is the second that we take."""


@rule("TR-11")
@pytest.mark.parametrize(
    ("offer", "size", "fragment"),
    [
        pytest.param(offer, size, fragment, id=f"13.{group}.{index}")
        for group, offer in enumerate(OFFERS, 1)
        for index, (size, fragment) in enumerate(SIZES, 1)
    ],
)
async def test_all_offers(port: int, offer: str, size: int, fragment: int) -> None:
    client = await RawClient.connect(port, headers=extensions(offer))
    assert agreed(client) == OFFERS[offer]
    await echo(client, TEXT, DATA["json"], size, fragment)
    client.abort()


# --- what is not Autobahn's ---------------------------------------------------------------------------------------


@rule("TR-11")
async def test_a_server_that_was_not_told_to_compress_does_not() -> None:
    async with echoing() as port:
        client = await RawClient.connect(port, headers=extensions("permessage-deflate"))
        assert "permessage-deflate" not in client.answer
        await client.send(client_frame(RSV1 | TEXT, squeezed(DATA["text"])))
        assert await client.frames() == ([], 1002)
        client.abort()


@rule("LM-1", "DC-7")
@pytest.mark.parametrize(
    ("sent", "code"),
    [
        pytest.param(client_frame(RSV1 | BINARY, squeezed(bytes(100 * LIMIT))), 1009, id="bomb"),
        pytest.param(client_frame(RSV1 | TEXT, b"\xff" * 100), 1007, id="not deflate"),
        pytest.param(client_frame(RSV1 | TEXT, squeezed(b"\xff" * 100)), 1007, id="not UTF-8"),
        pytest.param(client_frame(0x01, b"a") + client_frame(RSV1 | LAST, b"b"), 1002, id="RSV1 later"),
        pytest.param(client_frame(RSV1 | 0x89, b""), 1002, id="RSV1 on a ping"),
    ],
)
async def test_what_is_refused(port: int, sent: bytes, code: int) -> None:
    client = await RawClient.connect(port, headers=extensions("permessage-deflate"))
    await client.send(client_frame(TEXT, b"before") + sent)
    assert await client.frames() == ([(TEXT, b"before")], code)
    client.abort()


MESSAGES = ["", "short", LINE * 100, "mit heißem Bemühn " * 15, "x" * 200_000]


async def test_the_websockets_client(port: int) -> None:
    offer = ClientPerMessageDeflateFactory(client_max_window_bits=True)
    async with connect(f"ws://127.0.0.1:{port}/socket/websocket?vsn=2.0.0", proxy=None, extensions=[offer]) as client:
        assert [extension.name for extension in client.protocol.extensions] == ["permessage-deflate"]
        said: list[str | bytes] = [*MESSAGES, *DATA.values()]
        for message in said * 2:
            await client.send(message)
            async with asyncio.timeout(10):
                assert await client.recv() == message


@pytest.mark.parametrize("window", [9, 12, 15])
async def test_the_aiohttp_client(port: int, window: int) -> None:
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(f"http://127.0.0.1:{port}/socket/websocket?vsn=2.0.0", compress=window) as client,
    ):
        # It asks for the window of the server; one of 9 bits is declined, and all goes on as it is.
        assert bool(client.compress) == (window >= 12)
        for message in MESSAGES * 2:
            await client.send_str(message)
            assert await client.receive_str(timeout=10) == message
        for data in DATA.values():
            await client.send_bytes(data)
            assert await client.receive_bytes(timeout=10) == data


async def test_the_npm_package_ws(port: int, node: str, npm_ci: Callable[[Path], Path]) -> None:
    url = f"ws://127.0.0.1:{port}/socket/websocket?vsn=2.0.0"
    answer, *echoes = await printed(node, "deflate.js", url, *MESSAGES[:4], cwd=npm_ci(NODE))
    assert answer == deflate.negotiate("permessage-deflate")
    assert echoes == [hashlib.sha256(message.encode()).hexdigest() for message in MESSAGES[:4]]
