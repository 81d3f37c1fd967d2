"""What bodies hold, whatever is in them."""

from base64 import b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.realtime.transports.longpoll_frames import MOST_FRAMES, NDJSON, TextOnly, frames_in
from antiphon.realtime.wire.base import TopicMessage
from antiphon.realtime.wire.v1 import V1
from antiphon.realtime.wire.v2 import V2
from tests.rules import rule

TEXTS = st.text(st.characters(exclude_characters="\r\n", exclude_categories=["Cs"])).map(lambda text: f"[{text}]")
LINES = st.lists(TEXTS | st.binary(min_size=1), max_size=MOST_FRAMES)
ENDS = st.sampled_from([b"\n", b"\r\n", b"\n\n", b"\r\n\r\n"])


@rule("LP-9", "LP-10")
@given(LINES, ENDS)
def test_what_was_put_in_comes_out(lines: list[str | bytes], end: bytes) -> None:
    body = b"".join((line.encode() if isinstance(line, str) else b64encode(line)) + end for line in lines)
    assert frames_in(body, NDJSON, 1000) == lines


@rule("LP-9")
@given(st.integers(MOST_FRAMES, MOST_FRAMES * 2))
def test_the_first_hundred_count(count: int) -> None:
    body = b"\n".join(b"[%d]" % number for number in range(count))
    assert frames_in(body, NDJSON, 100) == [f"[{number}]" for number in range(MOST_FRAMES)]


@given(st.binary(), st.sampled_from([NDJSON, "", "text/plain", "application/x-ndjson; charset=utf-8"]))
def test_whatever_comes_is_frames_or_cannot_be_read(body: bytes, kind: str) -> None:
    try:
        frames = frames_in(body, kind, 50)
    except ValueError:
        return
    assert all(len(frame.encode() if isinstance(frame, str) else frame) <= 50 for frame in frames)
    assert kind == NDJSON or len(frames) == 1


@rule("LM-2")
@pytest.mark.parametrize("line", [b"[" + b"x" * 100, b64encode(bytes(110))])
def test_a_frame_that_is_too_large_cannot_be_read(line: bytes) -> None:
    with pytest.raises(ValueError, match="limited to 100 bytes"):
        frames_in(line, NDJSON, 100)


def test_a_serializer_for_texts_says_what_the_other_says() -> None:
    text = TextOnly(V2, lambda: None)
    assert text.version == V2.version
    assert text.decode('["1","2","t","e",{}]', 10) == V2.decode('["1","2","t","e",{}]', 10)
    assert text.reply("1", "2", "t", "ok", {"a": 1}) == V2.reply("1", "2", "t", "ok", {"a": 1})
    assert text.push("1", "t", "e", {"a": 1}) == V2.push("1", "t", "e", {"a": 1})
    assert text.close("1", "t") == V2.close("1", "t")
    assert text.error("1", "t", "why") == V2.error("1", "t", "why")
    message = TopicMessage.of("t", "e", {"a": 1})
    assert text.broadcast(message) is message.frame(V2), "one frame is made for both"


@rule("LP-11")
def test_bytes_are_refused_or_left_out() -> None:
    told: list[int] = []
    text = TextOnly(V2, lambda: told.append(1))
    with pytest.raises(TypeError, match="long-poll"):
        text.push("1", "t", "e", b"\0")
    with pytest.raises(TypeError, match="long-poll"):
        text.reply("1", "2", "t", "ok", b"\0")
    message = TopicMessage.of("t", "e", b"\0")
    assert [message.frame(text), message.frame(text)] == [None, None]
    assert told == [1], "once a message, however many are not sent it"
    assert TopicMessage.of("t", "e", b"\0").frame(TextOnly(V1, lambda: None)) is None
