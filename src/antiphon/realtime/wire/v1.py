"""Version 1: a JSON object, and nothing for bytes (V1-1 to V1-7). A client that names no version gets this one."""

from typing import Any

import msgspec

from antiphon.realtime.wire.base import (
    BUFFERS,
    CLOSE,
    ERROR,
    REPLY,
    UNREADABLE,
    BadFrameError,
    InboundFrame,
    TopicMessage,
    checked_event,
    crashed,
    refuse_deeper,
    unreadable,
)
from antiphon.realtime.wire.json import encode, encode_object, without_nan


class _Envelope(msgspec.Struct, frozen=True, gc=False):
    """What a client sends. All but `join_ref` must be there."""

    topic: str
    event: str
    payload: Any
    ref: Any
    join_ref: Any = None


_decode = msgspec.json.Decoder(_Envelope).decode


class SerializerV1:
    """`{"topic", "event", "payload", "ref"}`; what is sent never names a join_ref (V1-3)."""

    __slots__ = ()

    version = "1.0.0"

    def decode(self, data: str | bytes, max_depth: int) -> InboundFrame:
        """See `Serializer`."""
        if not isinstance(data, str):
            raise BadFrameError("version 1 has no binary frames")
        try:
            found = _decode(data)
        except UNREADABLE as error:
            raise unreadable(error, "not an object with topic, event, payload and ref") from error
        refuse_deeper(data, (found.join_ref, found.ref, found.payload), max_depth)
        return InboundFrame(found.join_ref, found.ref, found.topic, found.event, found.payload)

    def reply(self, join_ref: Any, ref: Any, topic: str, status: str, response: Any) -> bytes:  # noqa: ARG002
        """See `Serializer`."""
        _refuse_bytes(response)
        return without_nan(_envelope(topic, REPLY, {"status": status, "response": response}, ref), response)

    def push(self, join_ref: Any, topic: str, event: str, payload: Any) -> bytes:  # noqa: ARG002 - as in version 2
        """See `Serializer`."""
        _refuse_bytes(payload)
        return _envelope(topic, checked_event(event), msgspec.Raw(encode_object(payload)), None)

    def broadcast(self, message: TopicMessage) -> bytes | None:
        """See `Serializer`."""
        return None if message.binary else _envelope(message.topic, message.event, msgspec.Raw(message.raw), None)

    def close(self, join_ref: Any, topic: str) -> bytes:
        """See `Serializer`."""
        return _envelope(topic, CLOSE, {}, join_ref)

    def error(self, join_ref: Any, topic: str, detail: str | None = None) -> bytes:
        """See `Serializer`."""
        return _envelope(topic, ERROR, crashed(detail), join_ref)


V1 = SerializerV1()


def _envelope(topic: str, event: str, payload: Any, ref: Any) -> bytes:
    return encode({"topic": topic, "event": event, "payload": payload, "ref": ref})


def _refuse_bytes(value: Any) -> None:
    if isinstance(value, BUFFERS):
        raise TypeError("bytes cannot be sent to a client that speaks version 1: it has no binary frames")
