"""The dialect of Supabase: both versions, with binary frames for what its clients call broadcasts (SB-2, SB-3), and its
own names for our limits (SB-7).

A broadcast of its users is the event `broadcast` with the payload `{"type": "broadcast", "event", "payload", "meta"?}`.
Bytes that they broadcast are, as everywhere here, a message whose event is that of the user.
"""

from typing import Any, Literal

import msgspec

from antiphon.realtime.wire.base import (
    BUFFERS,
    FIELD_BYTES,
    BadFrameError,
    Binary,
    InboundFrame,
    TopicMessage,
    checked_event,
    checked_field,
    refuse_deeper,
)
from antiphon.realtime.wire.reasons import TOO_MANY_CHANNELS, TOO_MANY_JOINS, TOO_MANY_MESSAGES
from antiphon.realtime.wire.v1 import SerializerV1
from antiphon.realtime.wire.v2 import SerializerV2

BROADCAST = "broadcast"

USER_PUSH, USER_BROADCAST = 3, 4
BYTES, JSON = 0, 1

_LIMITS = {
    TOO_MANY_CHANNELS: "ChannelRateLimitReached",
    TOO_MANY_JOINS: "ClientJoinRateLimitReached",
    TOO_MANY_MESSAGES: "ConnectionRateLimitReached",
}


class SupabaseV1(SerializerV1):
    """Version 1, in which a broadcast is an event like any other (SB-4)."""

    __slots__ = ()

    def reply(self, join_ref: Any, ref: Any, topic: str, status: str, response: Any) -> bytes:
        """See `Serializer`."""
        return super().reply(join_ref, ref, topic, status, _worded(status, response))


class SupabaseV2(SerializerV2):
    """Version 2, whose clients understand no binary frame but kind 4. What does not fit into one goes as text."""

    __slots__ = ()

    def decode(self, data: str | bytes, max_depth: int) -> InboundFrame:
        """See `Serializer`."""
        if isinstance(data, bytes) and data and data[0] == USER_PUSH:
            return _decode_user_push(data, max_depth)
        return super().decode(data, max_depth)

    def reply(self, join_ref: Any, ref: Any, topic: str, status: str, response: Any) -> bytes:
        """See `Serializer`."""
        if isinstance(response, BUFFERS):
            raise TypeError("bytes cannot be the reply to a client of Supabase: it understands them in broadcasts only")
        return super().reply(join_ref, ref, topic, status, _worded(status, response))

    def push(self, join_ref: Any, topic: str, event: str, payload: Any) -> bytes:
        """See `Serializer`."""
        if isinstance(payload, BUFFERS):
            return _frame(topic, checked_event(event), b"", BYTES, bytes(payload))
        return super().push(join_ref, topic, event, payload)

    def broadcast(self, message: TopicMessage) -> bytes | None:
        """See `Serializer`."""
        if message.binary:
            return _frame(message.topic, message.event, b"", BYTES, message.raw)
        if message.event == BROADCAST:
            try:
                said = _decode_said(message.raw)
                return _frame(message.topic, said.event, bytes(said.meta), JSON, bytes(said.payload))
            except ValueError:
                pass  # it says more than the frame has room for, or was not made by one of these clients
        return super().broadcast(message)


V1, V2 = SupabaseV1(), SupabaseV2()


class _Said(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    type: Literal["broadcast"]
    event: str
    payload: msgspec.Raw
    meta: msgspec.Raw = msgspec.Raw()


_decode_said = msgspec.json.Decoder(_Said).decode


def _decode_user_push(data: bytes, max_depth: int) -> InboundFrame:
    """`03 | sizes of join_ref, ref, topic, event, metadata | encoding | those five | payload`, all sizes one byte."""
    position, fields = 7, []
    for size in data[1:6]:
        fields.append(data[position : position + size])
        position += size
    if position > len(data) or len(data) < 7:
        raise BadFrameError("a binary frame that is cut off")
    join_ref, ref, topic, event, meta = fields
    payload: dict[str, Any] = {"type": BROADCAST, "event": _text(event)}
    if data[6] == JSON:
        payload["payload"] = _json(data[position:], max_depth)
    elif data[6] == BYTES:
        payload["payload"] = data[position:]
    else:
        raise BadFrameError("a payload in an encoding that nobody knows")
    if meta:
        payload["meta"] = _json(meta, max_depth)
    return InboundFrame(_text(join_ref) or None, _text(ref), _text(topic), BROADCAST, payload)


def _text(field: bytes) -> str:
    try:
        return str(field, "utf-8")
    except UnicodeDecodeError:
        return str(field, "latin-1")  # realtime-js writes one byte for each character


def _json(data: bytes, max_depth: int) -> Any:
    try:
        text = str(data, "utf-8")
        value = msgspec.json.decode(text)
    except (ValueError, RecursionError) as error:
        raise BadFrameError("not JSON") from error
    refuse_deeper(text, value, max_depth)
    return value


def _frame(topic: str, event: str, meta: bytes, encoding: int, data: bytes) -> Binary:
    """`04 | sizes of topic, event, metadata | encoding | those three | payload`; raises `ValueError` when one of them
    is too long."""
    names = checked_field("topic", topic), checked_field("event", event)
    if len(meta) > FIELD_BYTES:
        raise ValueError(f"the metadata has {len(meta)} bytes: binary frames have room for {FIELD_BYTES}")
    head = bytes((USER_BROADCAST, len(names[0]), len(names[1]), len(meta), encoding))
    return Binary(b"".join((head, *names, meta, data)))


def _worded(status: str, response: Any) -> Any:
    """A refusal for the sake of a limit begins with a word that clients wait longer for."""
    reason = response.get("reason") if status == "error" and isinstance(response, dict) else None
    if isinstance(reason, str) and reason in _LIMITS:
        return {**response, "reason": f"{_LIMITS[reason]}: {reason}"}
    return response
