"""Frames as a client says and hears them, against the worked examples and the serializer of the server."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.errors import ValidationError
from antiphon.realtime.client.frames import ClientReply, ServerFrame, decode_frame, encode_push, sendable
from antiphon.realtime.wire.base import BadFrameError, Binary, TopicMessage
from antiphon.realtime.wire.v2 import V2
from tests.rules import rule

DATA = b"\x01\x02\xff"
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)
NAME = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=60)


def said(join_ref: str | None, ref: str | None, topic: str, event: str, payload: Any) -> bytes:
    return encode_push(join_ref, ref, topic, event, sendable(topic, event, payload))


@rule("BN-1")
def test_bytes_go_as_the_worked_example() -> None:
    frame = said("3", "7", "room:1", "ping", DATA)
    assert isinstance(frame, Binary)
    assert frame.hex(" ") == "00 01 01 06 04 33 37 72 6f 6f 6d 3a 31 70 69 6e 67 01 02 ff"
    assert said(None, None, "room:1", "ping", DATA)[:5].hex() == "0000000604"
    assert said("3", "7", "room:café", "ping", bytearray(DATA))[3] == 10


@rule("V2-1")
def test_everything_else_goes_as_a_json_array() -> None:
    frame = said("3", None, "room:1", "ping", {"é": [1, None]})
    assert not isinstance(frame, Binary)
    assert frame.decode() == '["3",null,"room:1","ping",{"é":[1,null]}]'


@given(NAME, NAME, st.one_of(JSON, st.binary()))
@rule("BN-1", "V2-1", "V2-3")
def test_the_server_reads_what_the_client_says(topic: str, event: str, payload: Any) -> None:
    frame = said("3", "7", topic, event, payload)
    read = V2.decode(frame if isinstance(frame, Binary) else frame.decode(), 100)
    assert (read.join_ref, read.ref, read.topic, read.event, read.payload) == ("3", "7", topic, event, payload)


@given(NAME, NAME, st.one_of(JSON, st.binary()))
@rule("BN-2", "BN-3", "BN-4", "V2-5")
def test_the_client_reads_what_the_server_says(topic: str, event: str, payload: Any) -> None:
    def read(frame: bytes) -> ServerFrame:
        return decode_frame(bytes(frame) if isinstance(frame, Binary) else frame.decode())

    assert read(V2.reply("3", "7", topic, "maybe", payload)) == ServerFrame(
        "3", "7", topic, "phx_reply", ClientReply("maybe", payload)
    )
    content = payload if isinstance(payload, bytes) else {"it": payload}
    name = f"e{event}"
    assert read(V2.push("3", topic, name, content)) == ServerFrame("3", None, topic, name, content)
    broadcast = V2.broadcast(TopicMessage.of(topic, name, content))
    assert broadcast is not None
    assert read(broadcast) == ServerFrame(None, None, topic, name, content)


@rule("BN-5", "BN-2", "BN-3", "BN-4")
@pytest.mark.parametrize(
    ("frame", "expected"),
    [
        (
            "01 01 01 06 02 33 37 72 6f 6f 6d 3a 31 6f 6b 01 02 ff",
            ServerFrame("3", "7", "room:1", "phx_reply", ClientReply("ok", DATA)),
        ),
        ("00 01 06 04 33 72 6f 6f 6d 3a 31 66 69 6c 65 01 02 ff", ServerFrame("3", None, "room:1", "file", DATA)),
        ("02 06 04 72 6f 6f 6d 3a 31 66 69 6c 65 01 02 ff", ServerFrame(None, None, "room:1", "file", DATA)),
        ("02 06 04 72 6f 6f 6d 3a 31 66 69 6c 65", ServerFrame(None, None, "room:1", "file", b"")),
        (
            "01 00 00 06 02 72 6f 6f 6d 3a 31 6f 6b",
            ServerFrame(None, None, "room:1", "phx_reply", ClientReply("ok", b"")),
        ),
    ],
)
def test_binary_frames_are_read_as_in_the_worked_examples(frame: str, expected: ServerFrame) -> None:
    assert decode_frame(bytes.fromhex(frame)) == expected


@rule("BN-10")
@pytest.mark.parametrize(
    "frame",
    [
        b"",
        b"\x00",
        b"\x03\x01\x01\x01",
        b"\x02\x06\x04room",
        b"\x01\x00\x00\x01",
        b"\x02\x01\x00\xff",
        b"\x00\xff\xff\xff",
    ],
)
def test_what_is_no_binary_frame_is_told_apart(frame: bytes) -> None:
    with pytest.raises(BadFrameError):
        decode_frame(frame)


@given(st.binary(max_size=40) | st.text(max_size=40))
def test_nothing_that_comes_in_does_more_harm_than_that(data: bytes | str) -> None:
    try:
        frame = decode_frame(data)
    except BadFrameError:
        return
    assert isinstance(frame, ServerFrame)


@rule("BN-7")
def test_a_binary_frame_has_room_for_names_of_255_bytes() -> None:
    assert said("1", "2", "t" * 255, "e", DATA)
    for topic, event in (("é" * 128, "e"), ("t", "e" * 256)):
        with pytest.raises(ValidationError, match="255"):
            sendable(topic, event, DATA)
        assert isinstance(sendable(topic, event, {}), msgspec.Raw)


@rule("V2-7")
@pytest.mark.parametrize("payload", [float("nan"), {"a": [float("inf")]}, object(), {"a": "\ud800"}])
def test_what_json_cannot_say_fails_at_the_sender(payload: Any) -> None:
    with pytest.raises(ValidationError, match="'ping' cannot be sent"):
        sendable("room:1", "ping", payload)
