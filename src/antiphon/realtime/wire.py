"""The Phoenix serializer V2: frames as JSON arrays (V2-1 to V2-8), and the table that picks a serializer by `vsn`."""

import math
import re
from collections.abc import Mapping
from typing import Any

import msgspec

JOIN, LEAVE, CLOSE, ERROR, REPLY = "phx_join", "phx_leave", "phx_close", "phx_error", "phx_reply"
CONTROL_TOPIC, HEARTBEAT = "phoenix", "heartbeat"

_SEMANTIC = re.compile(
    r"(0|[1-9]\d{0,8})\.(0|[1-9]\d{0,8})\.(0|[1-9]\d{0,8})(-[0-9A-Za-z.-]+)?(?:\+[0-9A-Za-z.-]+)?", re.ASCII
)

_encoder = msgspec.json.Encoder()


class BadFrameError(Exception):
    """What came in is not a frame; the whole socket ends with 1011 (ER-6)."""


class InboundFrame(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One frame from a client. Refs are echoed with the type they came in (V2-2)."""

    join_ref: Any
    ref: Any
    topic: str
    event: str
    payload: Any


_decoder = msgspec.json.Decoder(InboundFrame)


class SerializerV2:
    """Text frames of version 2. Encoding raises `TypeError` or `ValueError` at the sender when a value is not JSON."""

    __slots__ = ()

    def decode(self, text: str, max_depth: int) -> InboundFrame:
        """The frame in `text`; raises `BadFrameError` when it is malformed or nested deeper than `max_depth`."""
        try:
            frame = _decoder.decode(text)
        except msgspec.ValidationError as error:
            raise BadFrameError("not an array of refs, topic, event and payload") from error
        except (msgspec.DecodeError, RecursionError) as error:
            raise BadFrameError("not JSON") from error
        # Few frames hold many brackets: only those pay for an exact look.
        many = text.count("[") + text.count("{") > max_depth
        if many and _deeper_than((frame.join_ref, frame.ref, frame.payload), max_depth):
            raise BadFrameError("nested too deeply")
        return frame

    def reply(self, join_ref: Any, ref: Any, topic: str, status: str, response: Any) -> bytes:
        """A reply; the response may be any JSON value."""
        body = _encoder.encode((join_ref, ref, topic, REPLY, {"status": status, "response": response}))
        return _without_nan(body, response)

    def push(self, join_ref: Any, topic: str, event: str, payload: Any) -> bytes:
        """A message to one member; the payload is an object (V2-4)."""
        return _encoder.encode((join_ref, None, topic, checked_event(event), msgspec.Raw(encode_object(payload))))

    def broadcast(self, topic: str, event: str, payload: Any) -> bytes:
        """A message to every member of the topic, encoded once for all of them."""
        return self.push(None, topic, event, payload)

    def close(self, join_ref: Any, topic: str) -> bytes:
        """The orderly end of a channel: the client does not come back by itself."""
        return _encoder.encode((join_ref, join_ref, topic, CLOSE, {}))

    def error(self, join_ref: Any, topic: str) -> bytes:
        """The end of a channel by a crash: the client joins again."""
        return _encoder.encode((join_ref, join_ref, topic, ERROR, {"reason": "channel_crash"}))


V2 = SerializerV2()

SERIALIZERS: tuple[tuple[int, int, SerializerV2], ...] = ((2, 0, V2),)
"""(major, minor, serializer): any patch of that minor version is served by it."""


def serializer_for(vsn: Any) -> SerializerV2 | None:
    """The serializer a client asks for with `vsn`, None when there is none (TR-2, TR-3)."""
    match = _SEMANTIC.fullmatch(vsn) if isinstance(vsn, str) else None
    if match is None:
        return None
    major, minor, patch, prerelease = int(match[1]), int(match[2]), int(match[3]), match[4]
    if prerelease and patch == 0:
        return None  # comes before the first version of its range
    return next((found for a, b, found in SERIALIZERS if (a, b) == (major, minor)), None)


def checked_event(event: str) -> str:
    """The name of an event of ours; `phx_` names belong to the protocol (MS-9)."""
    if event.startswith("phx_"):
        raise ValueError(f"event {event!r}: names that begin with phx_ belong to the protocol, choose another")
    return event


def encode_object(payload: Any) -> bytes:
    """JSON of an object: a dict, a mapping or a msgspec struct."""
    body = encode_value(dict(payload) if isinstance(payload, Mapping) and type(payload) is not dict else payload)
    if body[:1] != b"{":
        raise TypeError(f"a payload must be an object (a dict or a struct), not {type(payload).__name__}")
    return body


def encode_value(value: Any) -> bytes:
    """Compact JSON; raises for what JSON cannot say, NaN and infinities included (V2-7)."""
    return _without_nan(_encoder.encode(value), value)


def _without_nan(body: bytes, value: Any) -> bytes:
    # The encoder writes NaN as null, so only what has a null in it can hide one.
    if b"null" in body and _has_non_finite(value):
        raise ValueError("NaN and infinity cannot be sent: JSON has no word for them")
    return body


_FINITE = frozenset({str, int, bool, type(None), bytes})


def _has_non_finite(value: Any) -> bool:
    kind = type(value)
    if kind in _FINITE:
        return False
    if kind is float:
        return not math.isfinite(value)
    if kind is dict:
        value = value.values()
    elif kind is not list and kind is not tuple:
        return _has_non_finite(msgspec.to_builtins(value))
    for item in value:  # noqa: SIM110 - `any` with a generator takes three times as long, and every message comes by
        if _has_non_finite(item):
            return True
    return False


def _deeper_than(value: Any, limit: int) -> bool:
    level = [value]
    for _ in range(limit):
        level = [
            child
            for parent in level
            for child in (parent.values() if isinstance(parent, dict) else parent)
            if isinstance(child, list | dict)
        ]
        if not level:
            return False
    return True
