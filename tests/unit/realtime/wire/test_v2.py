"""The V2 serializer by itself."""

import json
import math
from collections import OrderedDict
from types import MappingProxyType
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.realtime.wire.base import BadFrameError, TopicMessage
from antiphon.realtime.wire.v2 import V2
from tests.rules import rule

INTEGERS = st.integers(-(2**53), 2**53)
JSON = st.recursive(
    st.none() | st.booleans() | INTEGERS | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda children: st.lists(children, max_size=4) | st.dictionaries(st.text(), children, max_size=4),
    max_leaves=10,
)  # fmt: skip
REFS = st.none() | st.text() | INTEGERS


@rule("V2-1", "V2-2")
@given(REFS, REFS, st.text(), st.text(), JSON)
def test_decoding_keeps_every_value(join_ref: Any, ref: Any, topic: str, event: str, payload: Any) -> None:
    text = json.dumps([join_ref, ref, topic, event, payload], ensure_ascii=False)
    expected = (join_ref, ref, topic, event, json.loads(json.dumps(payload)))
    assert msgspec.structs.astuple(V2.decode(text, 100)) == expected


@rule("V2-5")
@given(REFS, REFS, st.text(), JSON)
def test_replies_are_what_json_says(join_ref: Any, ref: Any, topic: str, response: Any) -> None:
    frame = json.loads(V2.reply(join_ref, ref, topic, "ok", response))
    assert frame == [join_ref, ref, topic, "phx_reply", {"status": "ok", "response": response}]


def frame_of(topic: str, event: str, payload: Any) -> bytes:
    frame = TopicMessage.of(topic, event, payload).frame(V2)
    assert frame is not None
    return frame


@rule("V2-5")
def test_the_shapes_of_the_table() -> None:
    assert json.loads(V2.push("1", "t", "e", {"a": 1})) == ["1", None, "t", "e", {"a": 1}]
    assert json.loads(frame_of("t", "e", {})) == [None, None, "t", "e", {}]
    assert json.loads(V2.close("7", "t")) == ["7", "7", "t", "phx_close", {}]
    assert json.loads(V2.error("7", "t")) == ["7", "7", "t", "phx_error", {"reason": "channel_crash"}]


@rule("V2-4")
def test_structs_and_mappings_are_objects() -> None:
    class Point(msgspec.Struct):
        x: int

    assert json.loads(V2.push(None, "t", "e", Point(1)))[4] == {"x": 1}
    assert json.loads(V2.push(None, "t", "e", dict.fromkeys("ab", 1).copy()))[4] == {"a": 1, "b": 1}


@rule("V2-7")
def test_compact_and_utf_8() -> None:
    assert V2.push(None, "t", "é", {"🎵": "ü"}) == '[null,null,"t","é",{"🎵":"ü"}]'.encode()


class Measured(msgspec.Struct):
    """A payload that is no dictionary."""

    value: float


@rule("V2-7")
@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize(
    "hide",
    [
        lambda x: {"x": x},
        lambda x: {"x": [1, {"y": (x,)}]},
        lambda x: {"x": None, "y": Measured(x)},
        lambda x: OrderedDict(x={x, 1.0}),
        lambda x: MappingProxyType({"x": x}),
    ],
)
def test_not_a_number_is_refused_at_the_sender(bad: float, hide: Any) -> None:
    with pytest.raises(ValueError, match="NaN"):
        V2.push(None, "t", "e", hide(bad))


@rule("V2-7")
def test_null_is_still_allowed() -> None:
    assert json.loads(V2.push(None, "t", "e", {"x": None, "y": 1.5}))[4] == {"x": None, "y": 1.5}


@rule("V2-8")
def test_a_lone_surrogate_is_never_emitted() -> None:
    with pytest.raises(ValueError, match="surrogates"):
        V2.push(None, "t", "e", {"x": "\ud800"})


@rule("ER-6")
@given(st.text())
def test_text_that_is_no_frame_never_raises_anything_else(text: str) -> None:
    try:
        V2.decode(text, 10)
    except BadFrameError:
        return
    assert len(json.loads(text)) >= 5


@rule("ER-7")
@given(st.integers(1, 40), st.integers(1, 40))
def test_depth_is_counted_exactly(depth: int, limit: int) -> None:
    # The frame itself is one level, the payload adds its own.
    text = f'[null,null,"t","e",{"[" * depth}{"]" * depth}]'
    if depth + 1 <= limit:
        V2.decode(text, limit)
    else:
        with pytest.raises(BadFrameError, match="deep"):
            V2.decode(text, limit)
