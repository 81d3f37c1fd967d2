"""permessage-deflate (RFC 7692): every parameter of the header, and the websockets library in both directions."""

import asyncio
import json
import os
import zlib
from collections.abc import Sequence
from itertools import count, pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.client import ClientProtocol
from websockets.extensions import Extension
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory
from websockets.frames import Frame
from websockets.headers import build_extension, parse_extension
from websockets.protocol import OPEN
from websockets.uri import parse_uri

from antiphon.realtime.transports import deflate, frames
from antiphon.realtime.transports.frames import FrameError, FrameParser
from antiphon.realtime.wire.base import Binary
from tests.raw_frames import RawClient, client_frame, squeezed
from tests.rules import rule

LIMIT = 200_000
TEXT = b'["1","2","room:1","message",{"text":"' + b"no more, no less. " * 40 + b'"}]'


def parse(*data: bytes, limit: int = LIMIT) -> list[tuple[int, bytes]]:
    parser = FrameParser(limit, deflate.inflate)
    return [message for chunk in data for message in parser.feed(chunk)]


def extension(offer: ClientPerMessageDeflateFactory) -> Sequence[Extension]:
    """The library's own extension, as it is after our answer to its offer."""
    answer = deflate.negotiate(build_extension([(offer.name, list(offer.get_request_params()))]))
    assert answer is not None
    ((_, parameters),) = parse_extension(answer)
    return [offer.process_response_params(parameters, [])]


# --- the header ---------------------------------------------------------------------------------------------------

ANSWER = "permessage-deflate; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=12"


@rule("TR-11")
@pytest.mark.parametrize(
    "offers",
    [
        "permessage-deflate",
        "permessage-deflate; client_max_window_bits",
        "permessage-deflate; client_max_window_bits=8",
        'permessage-deflate;server_max_window_bits="12"',
        "permessage-deflate; server_max_window_bits=15; client_max_window_bits=15",
        "permessage-deflate; server_no_context_takeover; client_no_context_takeover",
        "permessage-deflate ; server_no_context_takeover ; server_max_window_bits = 13",
        "x-webkit-deflate-frame, permessage-deflate",
        "permessage-deflate; server_max_window_bits=10, permessage-deflate; client_max_window_bits",
        "permessage-deflate; unheard_of, ,permessage-deflate",
    ],
)
def test_an_offer_that_can_be_taken(offers: str) -> None:
    assert deflate.negotiate(offers) == ANSWER


@rule("TR-11")
@pytest.mark.parametrize(
    "offers",
    [
        "",
        ",;,=",
        "x-webkit-deflate-frame",
        "permessage-bzip2; client_max_window_bits",
        "Permessage-Deflate",
        "permessage-deflate; unheard_of",
        "permessage-deflate; ",
        "permessage-deflate; server_no_context_takeover=true",
        "permessage-deflate; client_no_context_takeover=",
        "permessage-deflate; server_no_context_takeover; server_no_context_takeover",
        "permessage-deflate; client_max_window_bits=15; client_max_window_bits",
        "permessage-deflate; server_max_window_bits",
        "permessage-deflate; server_max_window_bits=",
        'permessage-deflate; server_max_window_bits=""',
        'permessage-deflate; server_max_window_bits="12',
        "permessage-deflate; server_max_window_bits=11",
        "permessage-deflate; server_max_window_bits=8",
        "permessage-deflate; server_max_window_bits=16",
        "permessage-deflate; server_max_window_bits=012",
        "permessage-deflate; server_max_window_bits=+12",
        "permessage-deflate; server_max_window_bits=१२",
        "permessage-deflate; client_max_window_bits=7",
        "permessage-deflate; client_max_window_bits=16",
        'permessage-deflate; client_max_window_bits="',
    ],
)
def test_an_offer_that_is_declined(offers: str) -> None:
    assert deflate.negotiate(offers) is None


@given(st.text(st.characters(codec="latin-1"), max_size=80) | st.text("permessage-deflate;,= \"'", max_size=40))
def test_no_header_is_a_surprise(offers: str) -> None:
    assert deflate.negotiate(offers) in {None, ANSWER}


# --- what we write ------------------------------------------------------------------------------------------------

BODIES = st.one_of(
    st.integers(0, 70_000).map(lambda size: (TEXT * (size // len(TEXT) + 1))[:size]),
    st.integers(0, 70_000).map(os.urandom),
    st.text(max_size=2000).map(str.encode),
)


@given(
    st.lists(BODIES, max_size=4),
    st.builds(
        ClientPerMessageDeflateFactory,
        server_no_context_takeover=st.booleans(),
        client_no_context_takeover=st.booleans(),
        server_max_window_bits=st.sampled_from([None, 12, 13, 15]),
        client_max_window_bits=st.sampled_from([None, True, 9, 12, 15]),
    ),
)
def test_the_websockets_client_reads_what_we_compress(
    bodies: list[bytes], offer: ClientPerMessageDeflateFactory
) -> None:
    client = ClientProtocol(parse_uri("ws://localhost/"), state=OPEN)
    client.extensions = list(extension(offer))
    client.receive_data(b"".join(deflate.deflated_frame(Binary(body)) for body in bodies))
    assert client.parser_exc is None
    assert [bytes(event.data) for event in client.events_received() if isinstance(event, Frame)] == bodies


def test_only_what_becomes_smaller_is_compressed() -> None:
    assert deflate.deflated_frame(TEXT[:255]) == frames.frame(frames.TEXT, TEXT[:255])
    noise = os.urandom(1000)
    assert deflate.deflated_frame(Binary(noise)) == frames.frame(frames.BINARY, noise)
    packed = deflate.deflated_frame(TEXT)
    assert (packed[0], len(packed) < len(TEXT) / 4) == (0xC1, True)


def test_no_frame_needs_a_larger_window_than_was_promised() -> None:
    line = os.urandom(5000)  # repeats from farther away than 4,096 bytes
    packed = deflate.deflated_frame(line + bytes(5000) + line)
    assert packed[1] == 126
    assert zlib.decompressobj(-12).decompress(packed[4:] + b"\x00\x00\xff\xff") == line + bytes(5000) + line


# --- what we read -------------------------------------------------------------------------------------------------


@given(
    st.lists(BODIES, max_size=4),
    st.builds(ClientPerMessageDeflateFactory, client_max_window_bits=st.sampled_from([None, True, 9, 12, 15])),
    st.lists(st.integers(0, 1_000_000), max_size=8),
)
def test_we_read_what_the_websockets_client_compresses(
    bodies: list[bytes], offer: ClientPerMessageDeflateFactory, points: list[int]
) -> None:
    client = ClientProtocol(parse_uri("ws://localhost/"), state=OPEN)
    client.extensions = list(extension(offer))
    for body in bodies:
        client.send_binary(body)
    data = b"".join(client.data_to_send())
    edges = [0, *sorted(point % (len(data) + 1) for point in points), len(data)]
    received = parse(*(data[start:stop] for start, stop in pairwise(edges)))
    assert received == [(frames.BINARY, body) for body in bodies]


@given(BODIES, st.integers(0, 9), st.lists(st.integers(0, 1_000_000), max_size=3), st.binary(max_size=20))
def test_a_compressed_message_in_fragments_with_a_ping_between(
    body: bytes, level: int, points: list[int], ping: bytes
) -> None:
    packed = squeezed(body, level=level)
    edges = [0, *sorted(point % (len(packed) + 1) for point in points), len(packed)]
    parts = [packed[start:stop] for start, stop in pairwise(edges)]
    heads = [0x42, *([0x00] * (len(parts) - 1))]
    heads[-1] |= 0x80
    sent = [client_frame(head, part) for head, part in zip(heads, parts, strict=True)]
    received = parse(*sent[:-1], client_frame(0x89, ping), sent[-1])
    assert received == [(frames.PING, ping), (frames.BINARY, body)]


def test_plain_messages_may_stand_between_compressed_ones() -> None:
    data = client_frame(0xC1, squeezed(TEXT)) + client_frame(0x81, b"plain") + client_frame(0xC1, squeezed(b"again"))
    assert parse(data) == [(1, TEXT), (1, b"plain"), (1, b"again")]


@pytest.mark.parametrize(
    ("payload", "body"),
    [
        # The examples of RFC 7692, section 7.2.3: one block, stored, marked as the last, and two blocks.
        ("f248cdc9c90700", b"Hello"),
        ("000500faff48656c6c6f00", b"Hello"),
        ("f348cdc9c9070000", b"Hello"),
        ("f24805000000ffffcac9c90700", b"Hello"),
        ("00", b""),
        ("", b""),
    ],
)
def test_every_way_to_write_it(payload: str, body: bytes) -> None:
    assert parse(client_frame(0xC1, bytes.fromhex(payload))) == [(1, body)]


@rule("DC-7")
@pytest.mark.parametrize(
    ("data", "code"),
    [
        (client_frame(0xC1, b"\xff\xff\xff\xff"), 1007),
        (client_frame(0xC2, squeezed(TEXT)[1:]), 1007),
        (client_frame(0xC1, bytes.fromhex("f348cdc9c90700") + squeezed(b"more")), 1007),
        (client_frame(0xC9, b"ping"), 1002),
        (client_frame(0xC8, b""), 1002),
        (client_frame(0x41, squeezed(TEXT)[:9]) + client_frame(0xC0, squeezed(TEXT)[9:]), 1002),
        (client_frame(0x01, b"plain") + client_frame(0xC0, squeezed(TEXT)), 1002),
        (bytes((0xE1, 0x80, 0, 0, 0, 0)), 1002),
        (bytes((0xD1, 0x80, 0, 0, 0, 0)), 1002),
        (bytes((0xC3, 0x80, 0, 0, 0, 0)), 1002),
    ],
    ids=count(1),  # the bytes of a mask are others in every process that collects the tests
)
def test_broken_compressed_frames(data: bytes, code: int) -> None:
    with pytest.raises(FrameError) as caught:
        parse(data)
    assert caught.value.code == code


@rule("DC-7")
def test_a_compressed_frame_that_nobody_agreed_on() -> None:
    with pytest.raises(FrameError) as caught:
        list(FrameParser(LIMIT).feed(client_frame(0xC1, squeezed(TEXT))))
    assert caught.value.code == 1002


@rule("LM-1")
def test_a_message_may_not_grow_beyond_the_limit() -> None:
    body = bytes(LIMIT)
    assert parse(client_frame(0xC2, squeezed(body))) == [(2, body)]
    for bomb in (bytes(LIMIT + 1), bytes(100 * LIMIT)):
        with pytest.raises(FrameError) as caught:
            parse(client_frame(0xC2, squeezed(bomb)))
        assert caught.value.code == 1009


@given(st.binary(max_size=300))
def test_noise_is_inflated_or_refused(payload: bytes) -> None:
    try:
        assert len(deflate.inflate(payload, 1000)) <= 1000
        code = 1007
    except FrameError as error:
        code = error.code
    assert code in {1007, 1009}


# --- a server that compresses -------------------------------------------------------------------------------------

LONG = "no more, no less. " * 40


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """Every compressed frame that is made."""
    frames_made: list[bytes] = []
    make = deflate.deflated_frame

    def remember(body: bytes) -> bytes:
        frames_made.append(body)
        return make(body)

    monkeypatch.setattr(deflate, "deflated_frame", remember)
    return frames_made


async def test_a_broadcast_is_compressed_once_for_all_who_agreed(serve: Any, made: list[bytes]) -> None:
    live = await serve(compression=True)
    wires = [await live.wire(compression=kind) for kind in ["deflate"] * 5 + [None] * 5]
    for wire in wires:
        await wire.join("room:1")
    made.clear()
    live.app.broadcast("room:1", "message", {"text": LONG})
    for wire in wires:
        await wire.expect([None, None, "room:1", "message", {"text": LONG}])
    assert len(made) == 1


async def test_it_is_compressed_once_also_when_it_is_in_many_batches(serve: Any, made: list[bytes]) -> None:
    """Before each push, its member gets all that was broadcast until then: every member another part of the same."""
    live, rooms = await serve(compression=True), list[Any]()

    def make() -> Any:
        rooms.append(live.room())
        return rooms[-1]

    live.app.route("many", make)
    wires = [await live.wire() for _ in range(8)]
    for wire in wires:
        await wire.join("many")
    made.clear()
    for number, room in enumerate(rooms):
        live.app.broadcast("many", "message", {"text": LONG, "n": number})
        await room.push("pushed", {"n": number})
    for number, wire in enumerate(wires):
        heard = [(event, payload["n"]) for _, _, _, event, payload in [await wire.receive() for _ in range(9)]]
        expected = [("message", n) for n in range(8)]
        assert heard == [*expected[: number + 1], ("pushed", number), *expected[number + 1 :]]
    assert len([body for body in made if LONG.encode() in body]) == 8


async def test_the_versions_and_their_bytes_are_kept_apart(serve: Any) -> None:
    live = await serve(compression=True)
    old, new, plain = await live.wire("vsn=1.0.0"), await live.wire(), await live.wire(compression=None)
    await old.connection.send(json.dumps({"topic": "room:1", "event": "phx_join", "payload": {}, "ref": "1"}))
    await old.receive()
    for wire in (new, plain):
        await wire.join("room:1")
    live.app.broadcast("room:1", "message", {"text": LONG})
    live.app.broadcast("room:1", "message", LONG.encode())
    live.app.broadcast("room:1", "message", {"end": True})
    assert [(await old.receive())["payload"] for _ in range(2)] == [{"text": LONG}, {"end": True}]
    for wire in (new, plain):
        assert (await wire.receive())[4] == {"text": LONG}
        assert await wire.connection.recv() == b"\x02\x06\x07room:1message" + LONG.encode()
        assert (await wire.receive())[4] == {"end": True}


@rule("BC-11")
async def test_a_kilobyte_that_is_a_megabyte_stands_in_nobodys_way(serve: Any) -> None:
    """What comes in one read is taken in turns: whoever speaks after it is answered before all of it is handled."""
    live = await serve(compression=True)
    heavy = await RawClient.connect(live.app.port, headers="sec-websocket-extensions: permessage-deflate\r\n")
    light = await RawClient.connect(live.app.port)
    await heavy.send(client_frame(0x81, b'["1","1","room:1","phx_join",{}]'))
    await heavy.frame()
    swollen = squeezed(b'["1",null,"room:1","silent","' + b"x" * 1_000_000 + b'"]')
    heartbeat = client_frame(0x81, b'[null,"1","phoenix","heartbeat",{}]')
    order: list[str] = []

    async def answered(name: str, client: RawClient) -> None:
        await client.frame()
        order.append(name)

    await heavy.send(client_frame(0xC1, swollen) * 20 + heartbeat)
    await light.send(heartbeat)
    await asyncio.gather(answered("heavy", heavy), answered("light", light))
    assert order == ["light", "heavy"]
    # And in order, with whatever came meanwhile.
    await heavy.send(client_frame(0xC1, swollen) * 5 + heartbeat * 1000, chop=5000)
    for _ in range(1000):
        assert (await heavy.frame())[1] == b'[null,"1","phoenix","phx_reply",{"status":"ok","response":{}}]'
    heavy.abort()
    light.abort()
