"""RFC 6455 framing: any chunking gives the same messages, and the websockets library agrees in both directions."""

import os
from collections.abc import Iterable
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.client import ClientProtocol
from websockets.frames import Frame, Opcode
from websockets.protocol import OPEN
from websockets.uri import parse_uri

from antiphon.realtime.transports import frames
from antiphon.realtime.transports.frames import FrameError, FrameParser

LIMIT = 200_000


def client_frame(opcode: int, payload: bytes, *, final: bool = True) -> bytes:
    """One frame as the websockets library writes it."""
    return Frame(Opcode(opcode), payload, fin=final).serialize(mask=True)


def hostile_frame(first: int, payload: bytes = b"x", *, masked: bool = True) -> bytes:
    """A short frame with any first byte."""
    return bytes((first, len(payload) | (0x80 if masked else 0))) + (bytes(4) if masked else b"") + payload


def parse(chunks: Iterable[bytes], limit: int = LIMIT) -> list[tuple[int, bytes]]:
    parser = FrameParser(limit)
    return [message for chunk in chunks for message in parser.feed(chunk)]


def cut(data: bytes, points: list[int]) -> list[bytes]:
    edges = [0, *sorted(point % (len(data) + 1) for point in points), len(data)]
    return [data[start:stop] for start, stop in pairwise(edges)]


SIZES = st.one_of(st.integers(0, 200), st.sampled_from([125, 126, 127, 65_535, 65_536, 70_000]))
PAYLOADS = SIZES.map(os.urandom)


@st.composite
def streams(draw: st.DrawFn) -> tuple[bytes, list[tuple[int, bytes]]]:
    """Bytes of a well-behaved client, with fragments and control frames between them, and the messages in them."""
    data, messages = b"", []
    for _ in range(draw(st.integers(0, 4))):
        opcode = draw(st.sampled_from([frames.TEXT, frames.BINARY]))
        parts = draw(st.lists(PAYLOADS, min_size=1, max_size=3))
        for index, part in enumerate(parts):
            data += client_frame(opcode if index == 0 else frames.CONTINUATION, part, final=index == len(parts) - 1)
            if index < len(parts) - 1 and draw(st.booleans()):
                ping = draw(st.binary(max_size=125))
                data += client_frame(frames.PING, ping)
                messages.append((frames.PING, ping))
        messages.append((opcode, b"".join(parts)))
    return data, messages


@given(streams(), st.lists(st.integers(0, 1_000_000), max_size=8))
def test_any_chunking_gives_the_same_messages(stream: tuple[bytes, list[tuple[int, bytes]]], points: list[int]) -> None:
    data, messages = stream
    assert parse(cut(data, points), 2**20) == messages


@given(st.lists(st.tuples(st.sampled_from([frames.TEXT, frames.PING]), st.binary(max_size=60)), max_size=4))
def test_one_byte_at_a_time(messages: list[tuple[int, bytes]]) -> None:
    data = b"".join(client_frame(opcode, payload) for opcode, payload in messages)
    assert parse(data[i : i + 1] for i in range(len(data))) == messages


@given(st.lists(st.tuples(st.sampled_from([frames.TEXT, frames.BINARY, frames.PING]), SIZES), max_size=4))
def test_the_websockets_client_reads_what_we_write(shapes: list[tuple[int, int]]) -> None:
    sent = [(opcode, b"x" * (size if opcode != frames.PING else min(size, 125))) for opcode, size in shapes]
    client = ClientProtocol(parse_uri("ws://localhost/"), state=OPEN)
    client.receive_data(b"".join(frames.frame(opcode, payload) for opcode, payload in sent))
    received = [event for event in client.events_received() if isinstance(event, Frame)]
    assert [(int(frame.opcode), bytes(frame.data)) for frame in received] == sent


def test_nothing_is_held_when_nothing_is_pending() -> None:
    parser = FrameParser(LIMIT)
    data = client_frame(frames.TEXT, b"hello")
    assert list(parser.feed(data[:4])) == []
    assert list(parser.feed(data[4:])) == [(frames.TEXT, b"hello")]
    assert parser._buffer is None


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (hostile_frame(0xC1), 1002),
        (hostile_frame(0xA1), 1002),
        (hostile_frame(0x91), 1002),
        (hostile_frame(0x81, masked=False), 1002),
        (hostile_frame(0x80), 1002),
        (hostile_frame(0x00), 1002),
        (hostile_frame(0x01) + hostile_frame(0x81), 1002),
        (hostile_frame(0x09), 1002),
        (hostile_frame(0x08, b""), 1002),
        (bytes((0x83, 0x80, 0, 0, 0, 0)), 1002),
        (bytes((0x8B, 0x80, 0, 0, 0, 0)), 1002),
        (bytes((0x89, 0xFE)), 1002),
        (bytes((0x89, 0xFE, 0, 126, 0, 0, 0, 0)), 1002),
        (bytes((0x88, 0xFF)), 1002),
        (bytes((0x81, 0xFF)) + b"\xff" * 8 + b"mask", 1009),
    ],
)
def test_dc_7_broken_frames(data: bytes, code: int) -> None:
    with pytest.raises(FrameError) as caught:
        parse([data])
    assert caught.value.code == code


@pytest.mark.parametrize("length", [1001, 70_000, 2**62])
def test_lm_1_too_large_is_refused_by_the_header_alone(length: int) -> None:
    short = length < 65_536
    header = bytes((0x81, 0xFE if short else 0xFF)) + length.to_bytes(2 if short else 8, "big") + b"mask"
    with pytest.raises(FrameError) as caught:
        parse([header], 1000)
    assert caught.value.code == 1009


def test_lm_1_fragments_count_together() -> None:
    part = client_frame(frames.TEXT, b"x" * 600, final=False)
    rest = client_frame(frames.CONTINUATION, b"x" * 401)[:8]
    with pytest.raises(FrameError) as caught:
        parse([part, rest], 1000)
    assert caught.value.code == 1009
    assert parse([part, client_frame(frames.CONTINUATION, b"x" * 400)], 1000) == [(frames.TEXT, b"x" * 1000)]


def test_messages_before_a_broken_frame_come_out_first() -> None:
    messages = FrameParser(LIMIT).feed(client_frame(frames.TEXT, b"ok") + hostile_frame(0x80))
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


@pytest.mark.parametrize("payload", [b"\xff", b"\xc3", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"a\x80"])
def test_v2_6_text_must_be_utf_8(payload: bytes) -> None:
    with pytest.raises(FrameError) as caught:
        frames.text_of(payload)
    assert caught.value.code == 1007


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
def test_dc_8_how_a_close_is_answered(payload: bytes, code: int) -> None:
    assert frames.close_answer(payload) == code
