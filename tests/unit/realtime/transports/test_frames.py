"""RFC 6455 framing: any chunking gives the same messages, and the websockets library agrees in both directions."""

import os
from collections.abc import Iterable
from itertools import count, pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from websockets.client import ClientProtocol
from websockets.exceptions import ProtocolError
from websockets.frames import Frame
from websockets.protocol import OPEN
from websockets.server import ServerProtocol
from websockets.uri import parse_uri

from antiphon.realtime.transports import frames
from antiphon.realtime.transports.frames import FrameError, FrameParser
from antiphon.realtime.wire.base import Binary
from tests.raw_frames import client_frame
from tests.rules import rule

LIMIT = 200_000
TEXT, BINARY, CLOSE, PING, PONG = 0x81, 0x82, 0x88, 0x89, 0x8A
OPENING, LAST = 0x01, 0x80
"""The first bytes of the fragments of a text."""

Message = tuple[int, bytes]


def parse(chunks: Iterable[bytes], limit: int = LIMIT) -> list[Message]:
    parser = FrameParser(limit)
    return [message for chunk in chunks for message in parser.feed(chunk)]


def cut(data: bytes, points: list[int]) -> list[bytes]:
    edges = [0, *sorted(point % (len(data) + 1) for point in points), len(data)]
    return [data[start:stop] for start, stop in pairwise(edges)]


# --- the websockets library ---------------------------------------------------------------------------------------

SIZES = st.one_of(st.integers(0, 200), st.sampled_from([125, 126, 127, 65_535, 65_536, 70_000]))
TEXTS = SIZES.map(lambda size: ("aµ€𝄞" * (size // 4 + 1))[:size].encode())
CUTS = st.lists(st.integers(0, 1_000_000), max_size=8)


@st.composite
def streams(draw: st.DrawFn) -> tuple[bytes, list[Message]]:
    """What the library's client says, in fragments with control frames between them, and the messages in it."""
    client, messages = ClientProtocol(parse_uri("ws://localhost/"), state=OPEN), list[Message]()
    for _ in range(draw(st.integers(0, 4))):
        opcode = draw(st.sampled_from([frames.TEXT, frames.BINARY]))
        payload = draw(TEXTS if opcode == frames.TEXT else SIZES.map(os.urandom))
        send = [client.send_text if opcode == frames.TEXT else client.send_binary, client.send_continuation]
        parts = cut(payload, draw(CUTS))
        for index, part in enumerate(parts):
            if index and draw(st.booleans()):
                messages.append((frames.PING, draw(st.binary(max_size=125))))
                client.send_ping(messages[-1][1])
            send[min(index, 1)](part, index == len(parts) - 1)
        messages.append((opcode, payload))
    return b"".join(client.data_to_send()), messages


@given(streams(), CUTS)
def test_we_read_what_the_library_writes_in_any_pieces(stream: tuple[bytes, list[Message]], points: list[int]) -> None:
    data, messages = stream
    assert parse(cut(data, points), 2**21) == messages


@given(st.lists(st.tuples(st.sampled_from([TEXT, PING]), st.binary(max_size=60).map(bytes.hex)), max_size=4))
def test_one_byte_at_a_time(said: list[tuple[int, str]]) -> None:
    data = b"".join(client_frame(first, text.encode()) for first, text in said)
    assert parse(data[i : i + 1] for i in range(len(data))) == [(first & 0x0F, text.encode()) for first, text in said]


@given(st.lists(st.tuples(st.booleans(), SIZES), max_size=4), st.lists(st.binary(max_size=125), max_size=3))
def test_the_library_reads_what_we_write(said: list[tuple[bool, int]], pings: list[bytes]) -> None:
    bodies = [b"x" * size if is_text else Binary(size) for is_text, size in said]
    client = ClientProtocol(parse_uri("ws://localhost/"), state=OPEN)
    client.receive_data(b"".join(map(frames.message_frame, bodies)))
    client.receive_data(b"".join(frames.frame(frames.PING, ping) for ping in pings) + frames.close_frame(1012))
    received = [
        (int(event.opcode), bytes(event.data)) for event in client.events_received() if isinstance(event, Frame)
    ]
    sent = [(frames.BINARY if isinstance(body, Binary) else frames.TEXT, body) for body in bodies]
    assert received[:-1] == [*sent, *((frames.PING, ping) for ping in pings)]
    assert client.close_rcvd is not None
    assert client.close_rcvd.code == 1012


def library_reads(data: bytes) -> tuple[list[Message], bool]:
    """The messages the library's server finds before a close, and whether it finds the stream broken."""
    server = ServerProtocol(state=OPEN)
    server.receive_data(data)
    messages, parts = list[Message](), list[Frame]()
    for frame in server.events_received():
        assert isinstance(frame, Frame)
        if frame.opcode >= frames.CLOSE:
            messages.append((frame.opcode, bytes(frame.data)))
            continue
        parts.append(frame)
        if frame.fin:
            messages.append((parts[0].opcode, b"".join(bytes(part.data) for part in parts)))
            parts.clear()
    return messages, isinstance(server.parser_exc, ProtocolError)


ODD = st.tuples(
    st.one_of(st.sampled_from([0x00, 0x01, 0x02, LAST, TEXT, BINARY, PING, PONG]), st.integers(0, 255)),
    st.one_of(st.integers(0, 20), st.sampled_from([124, 125, 126, 127, 70_000])).map(lambda size: b"x" * size),
    st.integers(0, 30).map(bool),  # nearly always masked
)


@rule("DC-7")
@settings(max_examples=500)
@given(st.lists(ODD.filter(lambda odd: odd[0] & 0x0F != frames.CLOSE), max_size=8), CUTS)
def test_the_library_and_we_find_the_same_messages_and_the_same_faults(
    said: list[tuple[int, bytes, bool]], points: list[int]
) -> None:
    data = b"".join(client_frame(first, payload, masked=masked) for first, payload, masked in said)
    parser, messages, faults = FrameParser(LIMIT), list[Message](), list[int]()
    try:
        for chunk in cut(data, points):
            for message in parser.feed(chunk):
                messages.append(message)
    except FrameError as error:
        faults.append(error.code)
    expected, broken = library_reads(data)
    assert (messages, faults) == (expected, [1002] if broken else [])


# --- what is held, and what is refused ----------------------------------------------------------------------------


def test_nothing_is_held_when_nothing_is_pending() -> None:
    parser = FrameParser(LIMIT)
    data = client_frame(TEXT, b"hello")
    assert list(parser.feed(data[:4])) == []
    assert list(parser.feed(data[4:])) == [(frames.TEXT, b"hello")]
    assert parser._buffer is None


@rule("DC-7")
@pytest.mark.parametrize(
    ("data", "code"),
    [
        (client_frame(0xC1), 1002),
        (client_frame(0xA1), 1002),
        (client_frame(0x91), 1002),
        (client_frame(0x81, masked=False), 1002),
        (client_frame(0x80), 1002),
        (client_frame(0x00), 1002),
        (client_frame(0x01) + client_frame(0x81), 1002),
        (client_frame(0x09), 1002),
        (client_frame(0x08, b""), 1002),
        (bytes((0x83, 0x80, 0, 0, 0, 0)), 1002),
        (bytes((0x8B, 0x80, 0, 0, 0, 0)), 1002),
        (bytes((0x89, 0xFE)), 1002),
        (bytes((0x89, 0xFE, 0, 126, 0, 0, 0, 0)), 1002),
        (bytes((0x88, 0xFF)), 1002),
        (bytes((0x81, 0xFF)) + b"\xff" * 8 + b"mask", 1009),
    ],
    ids=count(1),  # the bytes of a mask are others in every process that collects the tests
)
def test_broken_frames(data: bytes, code: int) -> None:
    with pytest.raises(FrameError) as caught:
        parse([data])
    assert caught.value.code == code


@rule("LM-1")
@pytest.mark.parametrize("length", [1001, 70_000, 2**62])
def test_too_large_is_refused_by_the_header_alone(length: int) -> None:
    short = length < 65_536
    header = bytes((0x81, 0xFE if short else 0xFF)) + length.to_bytes(2 if short else 8, "big") + b"mask"
    with pytest.raises(FrameError) as caught:
        parse([header], 1000)
    assert caught.value.code == 1009


@rule("LM-1")
def test_fragments_count_together() -> None:
    part = client_frame(OPENING, b"x" * 600)
    rest = client_frame(LAST, b"x" * 401)[:8]
    with pytest.raises(FrameError) as caught:
        parse([part, rest], 1000)
    assert caught.value.code == 1009
    assert parse([part, client_frame(LAST, b"x" * 400)], 1000) == [(frames.TEXT, b"x" * 1000)]


@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 133, 1000, 1001, 65_535, 65_536])
def test_one_whole_text_is_read_like_any_other(size: int) -> None:
    """There is a shorter way for it."""
    data = client_frame(TEXT, b"x" * size)
    ways: list[list[bytes]] = [[data], [data[:-1], data[-1:]], [data[:1], data[1:]]]
    if size <= 1000:
        assert [parse(way, 1000) for way in ways] == [[(frames.TEXT, b"x" * size)]] * 3
    for way in ways if size > 1000 else ():
        with pytest.raises(FrameError) as caught:
            parse(way, 1000)
        assert caught.value.code == 1009


@rule("DC-7")
@pytest.mark.parametrize("size", [0, 1, 122, 125, 126, 127, 300])
def test_one_whole_text_that_is_not_masked_is_refused(size: int) -> None:
    with pytest.raises(FrameError) as caught:
        parse([client_frame(TEXT, b"x" * size, masked=False)])
    assert caught.value.code == 1002


def test_a_long_length_is_not_taken_for_a_size() -> None:
    """0xFF in the second byte means that eight bytes of length follow, not a text of 127 bytes."""
    data = bytes((TEXT, 0xFF)) + (2**16).to_bytes(8, "big") + b"mask" + bytes(119)
    assert len(data) == 6 + 127
    assert parse([data]) == []


def test_messages_before_a_broken_frame_come_out_first() -> None:
    messages = iter(FrameParser(LIMIT).feed(client_frame(TEXT, b"ok") + client_frame(0x80)))
    assert next(messages) == (frames.TEXT, b"ok")
    with pytest.raises(FrameError):
        next(messages)


@given(st.lists(st.binary(min_size=1, max_size=40), max_size=10))
def test_noise_is_either_parsed_or_refused(chunks: list[bytes]) -> None:
    try:
        parse(chunks, 1000)
        code = 1002
    except FrameError as error:
        code = error.code
    assert code in {1002, 1009}


@rule("V2-6")
@given(TEXTS, st.binary(max_size=8), CUTS)
def test_text_in_fragments_is_whole_or_refused(start: bytes, rest: bytes, points: list[int]) -> None:
    parts = cut(start + rest, points)
    firsts = [OPENING, *([0x00] * (len(parts) - 1))]
    firsts[-1] |= LAST
    data = b"".join(client_frame(first, part) for first, part in zip(firsts, parts, strict=True))
    refused = None
    try:
        read = parse([data])
    except FrameError as error:
        refused = error.code
    if refused is not None:
        assert refused == 1007
        with pytest.raises(UnicodeDecodeError):
            (start + rest).decode()
    else:
        assert read == [(frames.TEXT, start + rest)], "whoever reads it finds out whether it is text"


@rule("DC-8")
@pytest.mark.parametrize(
    ("payload", "code"),
    [
        (b"", 1000),
        (b"\x03", 1002),
        ((1000).to_bytes(2, "big"), 1000),
        ((1001).to_bytes(2, "big") + "schön".encode(), 1000),
        ((1001).to_bytes(2, "big") + b"\xff", 1007),
        ((3000).to_bytes(2, "big"), 1000),
        ((4999).to_bytes(2, "big"), 1000),
        *(((code).to_bytes(2, "big"), 1002) for code in (0, 999, 1004, 1005, 1006, 1012, 1015, 2999, 5000, 65535)),
    ],
)
def test_how_a_close_is_answered(payload: bytes, code: int) -> None:
    assert frames.close_answer(payload) == code
