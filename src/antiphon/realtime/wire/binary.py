"""Binary frames of version 2: bytes as payload, without base64 in between (BN-1 to BN-11).

Sizes are one unsigned byte each and count UTF-8 bytes; the payload is the rest of the message.
"""

from typing import Any

from antiphon.realtime.wire.base import BadFrameError, Binary, InboundFrame, TopicMessage, checked_event, checked_field

PUSH, REPLY, BROADCAST = 0, 1, 2
"""A push from a client has a ref (BN-1), one to a client has none (BN-2)."""


def decode_push(data: bytes) -> InboundFrame:
    """`00 | sizes of join_ref, ref, topic, event | those four | payload`."""
    if len(data) < 5 or data[0] != PUSH:
        raise BadFrameError("not a binary push")
    join_ref, ref, topic, event, payload = split(data, 1, 4)
    # An empty join_ref is what null looks like here (BN-6).
    return InboundFrame(join_ref or None, ref, topic, event, payload)


def split(data: bytes, start: int, count: int) -> Any:
    """`count` texts, whose sizes stand at `start`, and the bytes behind them."""
    position = start + count
    fields: list[Any] = []
    for size in data[start:position]:
        field = data[position : position + size]
        position += size
        if position > len(data):
            raise BadFrameError("a binary frame that is cut off")
        try:
            fields.append(str(field, "utf-8"))
        except UnicodeDecodeError as error:
            raise BadFrameError("a binary frame whose names are no text") from error
    fields.append(data[position:])
    return fields


def reply(join_ref: Any, ref: Any, topic: str, status: str, data: bytes) -> Binary:
    """`01 | sizes of join_ref, ref, topic, status | those four | payload` (BN-3)."""
    return _frame(REPLY, {"join_ref": _text(join_ref), "ref": _text(ref), "topic": topic, "status": status}, data)


def push(join_ref: Any, topic: str, event: str, data: bytes) -> Binary:
    """`00 | sizes of join_ref, topic, event | those three | payload` (BN-2)."""
    return _frame(PUSH, {"join_ref": _text(join_ref), "topic": topic, "event": checked_event(event)}, data)


def broadcast(message: TopicMessage) -> Binary:
    """`02 | sizes of topic, event | those two | payload` (BN-4)."""
    return _frame(BROADCAST, {"topic": message.topic, "event": message.event}, message.raw)


def _frame(kind: int, named: dict[str, str], data: bytes) -> Binary:
    fields = [checked_field(name, value) for name, value in named.items()]
    return Binary(b"".join((bytes((kind, *map(len, fields))), *fields, data)))


def _text(ref: Any) -> str:
    # Null has no form of its own; the empty string reads as false, which clients accept (BN-5).
    return ref if isinstance(ref, str) else "" if ref is None else str(ref)
