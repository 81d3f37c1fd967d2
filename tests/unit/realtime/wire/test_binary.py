"""Binary frames by themselves, and spoken with a server."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.realtime.wire.base import BadFrameError, Binary, TopicMessage
from antiphon.realtime.wire.v2 import V2
from tests.rules import rule

PUSH = bytes.fromhex("00 01 01 06 04 33 37 72 6f 6f 6d 3a 31 70 69 6e 67 01 02 ff")
DATA = b"\x01\x02\xff"

FIELDS = st.text(max_size=80)


@rule("BN-1", "BN-8")
def test_the_worked_push() -> None:
    frame = V2.decode(PUSH, 1)
    assert (frame.join_ref, frame.ref, frame.topic, frame.event, frame.payload) == ("3", "7", "room:1", "ping", DATA)
    assert type(frame.payload) is bytes


@rule("BN-2", "BN-3", "BN-4", "BN-5")
@pytest.mark.parametrize(
    ("frame", "expected"),
    [
        (V2.reply("3", "7", "room:1", "ok", DATA), "01 01 01 06 02 33 37 72 6f 6f 6d 3a 31 6f 6b 01 02 ff"),
        (V2.push("3", "room:1", "file", DATA), "00 01 06 04 33 72 6f 6f 6d 3a 31 66 69 6c 65 01 02 ff"),
        (TopicMessage.of("room:1", "file", DATA).frame(V2), "02 06 04 72 6f 6f 6d 3a 31 66 69 6c 65 01 02 ff"),
        (V2.push(None, "room:café", "", b""), "00 00 0a 00 72 6f 6f 6d 3a 63 61 66 c3 a9"),
        (V2.reply(None, None, "t", "", bytearray(b"x")), "01 00 00 01 00 74 78"),
        (V2.push(7, "t", "e", memoryview(b"x")), "00 01 01 01 37 74 65 78"),
    ],
)
def test_the_worked_frames_of_the_server(frame: bytes, expected: str) -> None:
    assert type(frame) is Binary
    assert frame == bytes.fromhex(expected)


@rule("BN-6")
def test_an_empty_join_ref_is_null() -> None:
    frame = V2.decode(bytes.fromhex("00 00 00 06 04 72 6f 6f 6d 3a 31 70 69 6e 67"), 1)
    assert (frame.join_ref, frame.ref, frame.payload) == (None, "", b"")


@rule("BN-7")
@pytest.mark.parametrize("send", [
    lambda name: V2.push("1", name, "e", b""),
    lambda name: V2.push("1", "t", name, b""),
    lambda name: V2.push(name, "t", "e", b""),
    lambda name: V2.reply("1", name, "t", "ok", b""),
    lambda name: V2.reply("1", "2", "t", name, b""),
    lambda name: TopicMessage.of(name, "e", b""),
    lambda name: TopicMessage.of("t", name, b""),
])  # fmt: skip
def test_names_have_room_for_255_bytes(send: Any) -> None:
    send("é" * 127 + "e")
    with pytest.raises(ValueError, match="room for 255"):
        send("é" * 128)


@rule("BN-10", "ER-6")
@given(st.binary(max_size=40) | st.integers(0, len(PUSH) - 4).map(lambda size: PUSH[:size]))
def test_hostile_bytes_are_a_frame_or_bad_input(data: bytes) -> None:
    try:
        frame = V2.decode(data, 1)
    except BadFrameError:
        return
    assert data[0] == 0
    assert data.endswith(frame.payload)


@rule("BN-1")
@given(FIELDS, FIELDS, FIELDS, FIELDS, st.binary(max_size=300))
def test_what_a_client_packs_is_read(join_ref: str, ref: str, topic: str, event: str, data: bytes) -> None:
    fields = [
        text.encode()[:0] if len(text.encode()) > 255 else text.encode() for text in (join_ref, ref, topic, event)
    ]
    frame = V2.decode(b"".join((b"\x00", bytes(map(len, fields)), *fields, data)), 1)
    expected = [field.decode() for field in fields]
    assert [frame.join_ref or "", frame.ref, frame.topic, frame.event, frame.payload] == [*expected, data]


# --- with a server ------------------------------------------------------------------------------------------------


def packed(join_ref: str, ref: str, topic: str, event: str, data: bytes) -> bytes:
    fields = [text.encode() for text in (join_ref, ref, topic, event)]
    return b"".join((b"\x00", bytes(map(len, fields)), *fields, data))


@rule("BN-8", "BN-9", "JN-12")
async def test_bytes_come_back_as_bytes_and_json_may_answer_them(wire: Any) -> None:
    await wire.connection.send(packed("1", "1", "room:1", "phx_join", b'{"a":1}'))
    await wire.expect(["1", "1", "room:1", "phx_reply", {"status": "ok", "response": {"bytes": 7}}])
    await wire.connection.send(packed("1", "2", "room:1", "echo", DATA))
    assert await wire.connection.recv() == b"\x01\x01\x01\x06\x0212room:1ok" + DATA
    await wire.connection.send(packed("1", "3", "room:1", "size", DATA))
    await wire.expect(["1", "3", "room:1", "phx_reply", {"status": "ok", "response": {"size": 3}}])
    await wire.send(["1", "4", "room:1", "bytes", {}])
    assert await wire.connection.recv() == b"\x00\x01\x06\x051room:1bytes\x00\x01"


@rule("BN-11", "BC-2")
async def test_bytes_are_broadcast_like_anything_else(live: Any) -> None:
    one, other = await live.wire(), await live.wire()
    for wire in (one, other):
        await wire.join("room:1")
    await one.connection.send(packed("1", "2", "room:1", "broadcast_from", DATA))
    await one.nothing_more()
    assert await other.connection.recv() == b"\x02\x06\x07room:1message" + DATA


@rule("BN-7", "ER-1")
async def test_a_name_that_is_too_long_ends_the_channel_that_sent_it(wire: Any) -> None:
    topic = "room:" + "x" * 300
    await wire.join(topic)
    await wire.send(["1", "2", topic, "bytes", {}])
    await wire.expect(["1", "1", topic, "phx_error", {"reason": "channel_crash"}])
    await wire.nothing_more()


@rule("BN-10", "ER-6")
@pytest.mark.parametrize("data", [b"", b"\x00", b"\x01" + PUSH[1:], PUSH[:8], b"\x03" + PUSH[1:]])
async def test_what_is_no_push_ends_the_socket(wire: Any, data: bytes) -> None:
    await wire.connection.send(data)
    assert await wire.closed() == 1011
