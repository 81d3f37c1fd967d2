"""Version 2: a JSON array for text (V2-1 to V2-8), and binary frames for bytes."""

from typing import Any

import msgspec

from antiphon.realtime.wire import binary
from antiphon.realtime.wire.base import (
    BUFFERS,
    CLOSE,
    ERROR,
    REPLY,
    UNREADABLE,
    InboundFrame,
    TopicMessage,
    checked_event,
    crashed,
    refuse_deeper,
    unreadable,
)
from antiphon.realtime.wire.json import NULL, encode, encode_object, refuse_nan

_decode = msgspec.json.Decoder(InboundFrame).decode


class SerializerV2:
    """`[join_ref, ref, topic, event, payload]`."""

    __slots__ = ()

    version = "2.0.0"

    def decode(self, data: str | bytes, max_depth: int) -> InboundFrame:
        """See `Serializer`."""
        if type(data) is not str and isinstance(data, bytes):
            return binary.decode_push(data)
        try:
            frame = _decode(data)
        except UNREADABLE as error:
            raise unreadable(error, "not an array of refs, topic, event and payload") from error
        if len(data) > 2 * max_depth and not _is_flat(frame):
            refuse_deeper(data, (frame.join_ref, frame.ref, frame.payload), max_depth)
        return frame

    def reply(self, join_ref: Any, ref: Any, topic: str, status: str, response: Any) -> bytes:
        """See `Serializer`."""
        # Nearly every response is a dict; comparing one type is quicker than asking for three.
        if type(response) is not dict and isinstance(response, BUFFERS):
            return binary.reply(join_ref, ref, topic, status, bytes(response))
        body = encode((join_ref, ref, topic, REPLY, {"status": status, "response": response}))
        if body.partition(NULL)[1]:  # `without_nan`, but without a call for each reply
            refuse_nan(response)
        return body

    def push(self, join_ref: Any, topic: str, event: str, payload: Any) -> bytes:
        """See `Serializer`."""
        if isinstance(payload, BUFFERS):
            return binary.push(join_ref, topic, event, bytes(payload))
        return encode((join_ref, None, topic, checked_event(event), msgspec.Raw(encode_object(payload))))

    def broadcast(self, message: TopicMessage) -> bytes | None:
        """See `Serializer`."""
        if message.binary:
            return binary.broadcast(message)
        return encode((None, None, message.topic, message.event, msgspec.Raw(message.raw)))

    def close(self, join_ref: Any, topic: str) -> bytes:
        """See `Serializer`."""
        return encode((join_ref, join_ref, topic, CLOSE, {}))

    def error(self, join_ref: Any, topic: str, detail: str | None = None) -> bytes:
        """See `Serializer`."""
        return encode((join_ref, join_ref, topic, ERROR, crashed(detail)))


V2 = SerializerV2()


def _is_flat(frame: InboundFrame) -> bool:
    """Whether it is like most frames: an object of a few values, none of which holds others. To see that takes half as
    long as to count brackets."""
    payload = frame.payload
    if type(payload) is not dict or len(payload) > 8 or type(frame.ref) is not str or type(frame.join_ref) is not str:
        return False
    for value in payload.values():  # noqa: SIM110 - `all` with a generator takes three times as long
        if type(value) is dict or type(value) is list:
            return False
    return True
