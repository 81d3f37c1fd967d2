"""What a client says and hears in version 2: JSON arrays, and binary frames for bytes (BN-1 to BN-11)."""

from typing import Any

import msgspec

from antiphon.errors import ValidationError
from antiphon.realtime.wire import binary
from antiphon.realtime.wire.base import BUFFERS, CONTROL_TOPIC, HEARTBEAT, REPLY, BadFrameError, Binary, checked_field
from antiphon.realtime.wire.json import encode, encode_value

_EMPTY = msgspec.Raw(b"{}")
_UNSENDABLE = (TypeError, ValueError, RecursionError)


class ClientReply(msgspec.Struct, frozen=True):
    """The answer to a push: `ok`, `error` or any other status, and the response, `bytes` when it came as such."""

    status: str
    response: Any


class ServerFrame(msgspec.Struct, frozen=True, array_like=True):
    """One frame from a server. The payload of a reply is a `ClientReply`."""

    join_ref: str | None
    ref: str | None
    topic: str
    event: str
    payload: Any


_decode = msgspec.json.Decoder(ServerFrame).decode


def sendable(topic: str, event: str, payload: Any) -> msgspec.Raw | bytes:
    """The payload as it goes into a frame. Raises `ValidationError` for what has no form there."""
    try:
        if not isinstance(payload, BUFFERS):
            return msgspec.Raw(encode_value(payload))
        checked_field("topic", topic)
        checked_field("event", event)
        return bytes(payload)
    except _UNSENDABLE as error:
        raise ValidationError(f"this payload of {event!r} cannot be sent: {error}") from error


def encode_push(join_ref: str | None, ref: str | None, topic: str, event: str, payload: msgspec.Raw | bytes) -> bytes:
    """The frame of a message to the server; `Binary` when the payload is bytes (BN-1)."""
    if isinstance(payload, msgspec.Raw):
        return encode((join_ref, ref, topic, event, payload))
    fields = [(text or "").encode() for text in (join_ref, ref, topic, event)]
    return Binary(b"".join((bytes((binary.PUSH, *map(len, fields))), *fields, payload)))


def encode_heartbeat(ref: str) -> bytes:
    """The frame of a heartbeat (HB-1)."""
    return encode_push(None, ref, CONTROL_TOPIC, HEARTBEAT, _EMPTY)


def answers_heartbeat(frame: ServerFrame, ref: str | None) -> bool:
    """Whether the frame is the answer to that heartbeat."""
    return frame.topic == CONTROL_TOPIC and frame.ref is not None and frame.ref == ref


def decode_frame(data: str | bytes) -> ServerFrame:
    """The frame in a text (str) or binary (bytes) message; raises `BadFrameError`."""
    try:
        frame = _decode(data) if isinstance(data, str) else _decode_binary(data)
        if frame.event != REPLY or isinstance(frame.payload, ClientReply):
            return frame
        return msgspec.structs.replace(frame, payload=msgspec.convert(frame.payload, ClientReply))
    except (msgspec.DecodeError, RecursionError) as error:
        raise BadFrameError(str(error)) from error


def _decode_binary(data: bytes) -> ServerFrame:
    kind = data[0] if data else None
    if kind == binary.PUSH and len(data) >= 4:
        join_ref, topic, event, payload = binary.split(data, 1, 3)
        return ServerFrame(join_ref or None, None, topic, event, payload)
    if kind == binary.REPLY and len(data) >= 5:
        join_ref, ref, topic, status, payload = binary.split(data, 1, 4)
        return ServerFrame(join_ref or None, ref or None, topic, REPLY, ClientReply(status, payload))
    if kind == binary.BROADCAST and len(data) >= 3:
        topic, event, payload = binary.split(data, 1, 2)
        return ServerFrame(None, None, topic, event, payload)
    raise BadFrameError("no binary frame that a server sends")
