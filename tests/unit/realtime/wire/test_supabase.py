"""The dialect of Supabase, frame by frame."""

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.realtime.wire.base import BadFrameError, Binary, InboundFrame, TopicMessage
from antiphon.realtime.wire.reasons import TOO_MANY_CHANNELS, TOO_MANY_JOINS, TOO_MANY_MESSAGES
from antiphon.realtime.wire.supabase import V1, V2
from antiphon.realtime.wire.v2 import V2 as PLAIN
from antiphon.realtime.wire.versions import SERVED, SUPABASE, serializer_for
from tests.rules import rule

TOPIC = b"realtime:room:1"
PUSH = b"\x03\x01\x01\x0f\x05\x00\x0112" + TOPIC + b'shout{"a":1}'
SHOUT = {"type": "broadcast", "event": "shout", "payload": {"a": 1}}

SIZED = st.text(max_size=60)
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def pushed(
    join_ref: bytes = b"1", ref: bytes = b"2", topic: bytes = TOPIC, event: bytes = b"e", meta: bytes = b"",
    encoding: int = 1, data: bytes = b"{}",
) -> bytes:  # fmt: skip
    """A frame of kind 3, as realtime-js makes it."""
    fields = (join_ref, ref, topic, event, meta)
    return b"".join((b"\x03", bytes(map(len, fields)), bytes((encoding,)), *fields, data))


@rule("SB-2")
def test_the_worked_push() -> None:
    frame = V2.decode(PUSH, 10)
    assert frame == InboundFrame("1", "2", "realtime:room:1", "broadcast", SHOUT)


@rule("SB-2")
def test_bytes_of_a_user_stay_bytes() -> None:
    payload = V2.decode(pushed(encoding=0, data=b"\x01\x02\xff"), 10).payload
    assert payload == {"type": "broadcast", "event": "e", "payload": b"\x01\x02\xff"}
    assert V2.decode(pushed(encoding=0, data=b""), 10).payload["payload"] == b""


@rule("SB-2")
def test_metadata_is_handed_on() -> None:
    assert V2.decode(pushed(meta=b'{"id":"7"}'), 10).payload["meta"] == {"id": "7"}


@rule("SB-2")
def test_refs_that_are_not_there() -> None:
    frame = V2.decode(pushed(join_ref=b"", ref=b""), 10)
    assert (frame.join_ref, frame.ref) == (None, "")


@rule("SB-2")
def test_realtime_js_writes_one_byte_for_each_character() -> None:
    assert V2.decode(pushed(topic="realtime:é".encode("latin-1"), event="grüß".encode("latin-1")), 10).topic == (
        "realtime:é"
    )
    assert V2.decode(pushed(topic="realtime:é".encode()), 10).topic == "realtime:é"


@rule("SB-2", "BN-10", "ER-6")
@pytest.mark.parametrize("frame", [
    b"", b"\x03", PUSH[:6], PUSH[:20], pushed(encoding=2), pushed(data=b""), pushed(data=b"{"), pushed(data=b"\xff"),
    pushed(data=b"NaN"), pushed(meta=b"{"), pushed(meta=b"\xff"), b"\x04\x01\x01\x00\x01te{}", b"\x05",
])  # fmt: skip
def test_what_is_no_frame(frame: bytes) -> None:
    with pytest.raises(BadFrameError):
        V2.decode(frame, 10)


@rule("SB-2", "ER-7")
def test_a_payload_is_nested_as_deeply_as_any_other() -> None:
    V2.decode(pushed(data=b"[" * 10 + b"]" * 10), 10)
    for depth in (11, 100_000):
        with pytest.raises(BadFrameError, match=r"deep|JSON"):
            V2.decode(pushed(data=b"[" * depth + b"]" * depth), 10)


@rule("SB-2", "BN-10")
@given(st.binary(max_size=80).map(lambda rest: b"\x03" + rest))
def test_bytes_at_random_are_a_frame_or_bad(data: bytes) -> None:
    try:
        frame = V2.decode(data, 5)
    except BadFrameError:
        return
    assert frame.event == "broadcast"
    assert isinstance(frame.topic, str)
    assert set(frame.payload) <= {"type", "event", "payload", "meta"}


@rule("SB-2")
@given(st.data())
def test_a_frame_that_is_changed_somewhere_is_a_frame_or_bad(data: st.DataObject) -> None:
    frame = bytearray(PUSH)
    for place in data.draw(st.lists(st.integers(0, len(PUSH) - 1), min_size=1, max_size=3)):
        frame[place] = data.draw(st.integers(0, 255))
    with suppress(BadFrameError):
        V2.decode(bytes(frame[: data.draw(st.integers(0, len(frame)))]), 5)


@rule("SB-2", "SB-3")
@given(SIZED, SIZED, ANYTHING)
def test_what_is_pushed_comes_out_in_a_broadcast(topic: str, event: str, value: Any) -> None:
    data = json.dumps(value).encode()
    frame = V2.decode(pushed(topic=topic.encode()[:255], event=event.encode()[:255], data=data), 20)
    message = TopicMessage.of(frame.topic, frame.event, frame.payload)
    body = message.frame(V2)
    assert body is not None
    assert body[0] == 4
    sizes, start = body[1:4], 5
    fields = []
    for size in sizes:
        fields.append(body[start : start + size])
        start += size
    assert [fields[0].decode(), fields[1].decode(), fields[2]] == [frame.topic, frame.payload["event"], b""]
    assert body[4] == 1
    assert json.loads(body[start:]) == value


@rule("SB-3")
def test_the_worked_broadcast() -> None:
    frame = TopicMessage.of("realtime:room:1", "broadcast", SHOUT).frame(V2)
    assert type(frame) is Binary
    assert frame == b"\x04\x0f\x05\x00\x01" + TOPIC + b'shout{"a":1}'


@rule("SB-3")
def test_a_broadcast_with_metadata() -> None:
    frame = TopicMessage.of("t", "broadcast", {**SHOUT, "meta": {"id": "7"}}).frame(V2)
    assert frame == b'\x04\x01\x05\x0a\x01tshout{"id":"7"}{"a":1}'


@rule("SB-3")
def test_bytes_are_a_broadcast_of_their_event() -> None:
    message = TopicMessage.of("realtime:room:1", "shout", b"\x01\xff")
    assert message.frame(V2) == b"\x04\x0f\x05\x00\x00" + TOPIC + b"shout\x01\xff"
    assert message.frame(V1) is None
    pushed_alone = V2.push("1", "realtime:room:1", "shout", b"\x01\xff")
    assert type(pushed_alone) is Binary
    assert pushed_alone == message.frame(V2)


@rule("SB-3")
@pytest.mark.parametrize("payload", [
    {**SHOUT, "more": 1},
    {**SHOUT, "event": "x" * 256},
    {**SHOUT, "meta": {"id": "x" * 256}},
    {"event": "shout", "payload": {}},
    {"type": "broadcast", "event": "shout"},
    {"anything": []},
])  # fmt: skip
def test_what_has_no_room_in_a_binary_frame_goes_as_text(payload: dict[str, Any]) -> None:
    frame = TopicMessage.of("realtime:room:1", "broadcast", payload).frame(V2)
    assert frame is not None
    assert type(frame) is bytes
    assert json.loads(frame) == [None, None, "realtime:room:1", "broadcast", payload]


@rule("SB-3", "SB-4")
def test_everything_else_is_as_in_plain_versions() -> None:
    message = TopicMessage.of("realtime:room:1", "presence_diff", {"joins": {}, "leaves": {}})
    assert message.frame(V2) == message.frame(PLAIN)
    text = '["1","2","realtime:room:1","phx_join",{}]'
    assert V2.decode(text, 10) == PLAIN.decode(text, 10)
    assert V2.push("1", "t", "system", {"status": "ok"}) == PLAIN.push("1", "t", "system", {"status": "ok"})
    assert json.loads(TopicMessage.of("t", "broadcast", SHOUT).frame(V1) or b"") == {
        "topic": "t", "event": "broadcast", "payload": SHOUT, "ref": None,
    }  # fmt: skip


@rule("SB-3")
def test_bytes_cannot_be_a_reply() -> None:
    with pytest.raises(TypeError, match="broadcasts only"):
        V2.reply("1", "2", "t", "ok", b"")


@rule("SB-7")
@pytest.mark.parametrize(
    ("reason", "word"),
    [
        (TOO_MANY_CHANNELS, "ChannelRateLimitReached"),
        (TOO_MANY_JOINS, "ClientJoinRateLimitReached"),
        (TOO_MANY_MESSAGES, "ConnectionRateLimitReached"),
    ],
)
def test_limits_have_the_names_that_clients_know(reason: str, word: str) -> None:
    told = {"reason": f"{word}: {reason}", "retry_after_ms": 5}
    reply = {"status": "error", "response": told}
    assert json.loads(V2.reply("1", "2", "t", "error", {"reason": reason, "retry_after_ms": 5}))[4] == reply
    assert json.loads(V1.reply("1", "2", "t", "error", {"reason": reason, "retry_after_ms": 5}))["payload"] == reply


@rule("SB-7")
@pytest.mark.parametrize("response", [{"reason": "no"}, {"reason": ["too many joins"]}, {}, [], None, "too many joins"])
def test_other_answers_stay_as_they_are(response: Any) -> None:
    assert json.loads(V2.reply("1", "2", "t", "error", response))[4]["response"] == response
    assert json.loads(V2.reply("1", "2", "t", "ok", {"reason": TOO_MANY_JOINS}))[4]["response"]["reason"] == (
        TOO_MANY_JOINS
    )


@rule("SB-1", "TR-3")
def test_the_versions_are_the_same() -> None:
    assert serializer_for("2.0.0", SUPABASE) is V2
    assert serializer_for("1.0.0", SUPABASE) is V1
    assert serializer_for("2.0.0") is PLAIN
    assert serializer_for("3.0.0", SUPABASE) is None
    assert ", ".join(f"{major}.{minor}.x" for major, minor, _ in SUPABASE) == SERVED
