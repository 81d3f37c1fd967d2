"""What every version of the protocol shares: the words of the protocol, the frame that comes in, the message that goes
out to many, and the contract of a serializer.
"""

import re
from collections.abc import Callable
from typing import Any, Protocol

import msgspec

from antiphon.realtime.wire.json import deeper_than, encode_object, may_be_deeper

JOIN, LEAVE, CLOSE, ERROR, REPLY = "phx_join", "phx_leave", "phx_close", "phx_error", "phx_reply"
CONTROL_TOPIC, HEARTBEAT = "phoenix", "heartbeat"

BUFFERS = (bytes, bytearray, memoryview)
"""A payload of one of these goes as a binary frame (BN-8)."""

_CURSOR = re.compile(r"([A-Za-z0-9_]{1,40})-(0|[1-9]\d{0,15})", re.ASCII)

FIELD_BYTES = 255
"""The size of a binary frame's topic, event, refs and status is one byte (BN-7)."""


UNSENDABLE = (TypeError, ValueError, RecursionError)
"""What a serializer raises for a value that no frame can say."""


def crashed(detail: str | None) -> dict[str, str]:
    """The payload of `phx_error`; `detail` only where the settings say `debug`."""
    return {"reason": "channel_crash"} if detail is None else {"reason": "channel_crash", "error": detail}


class BadFrameError(Exception):
    """What came in is not a frame; the whole socket ends with 1011 (ER-6)."""


UNREADABLE = (msgspec.DecodeError, RecursionError)
"""What a decoder raises for what is no frame."""


def unreadable(error: Exception, shape: str) -> BadFrameError:
    """What to raise for one of `UNREADABLE`; `shape` tells what JSON of another one is not."""
    return BadFrameError(shape if isinstance(error, msgspec.ValidationError) else "not JSON")


class Binary(bytes):
    """A frame for a binary WebSocket message. Every other encoded frame is plain `bytes`: a text message."""

    __slots__ = ()


class InboundFrame(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One frame from a client. Refs are echoed with the type they came in (V2-2); a binary payload is `bytes`."""

    join_ref: Any
    ref: Any
    topic: str
    event: str
    payload: Any


def refuse_deeper(text: str, found: Any, limit: int) -> None:
    """Raises `BadFrameError` when what was read from `text` is nested deeper than `limit`."""
    if may_be_deeper(text, limit) and deeper_than(found, limit):
        raise BadFrameError("nested too deeply")


class Position(msgspec.Struct, frozen=True):
    """A place in the log of one topic. Offsets count its messages without a gap; a log that had to begin anew has
    another epoch, so that nobody takes one place for another."""

    epoch: str
    offset: int

    def __str__(self) -> str:
        return f"{self.epoch}-{self.offset}"

    @classmethod
    def read(cls, cursor: object) -> "Position | None":
        """What a client gave as `since`; None for anything that never was a cursor."""
        found = _CURSOR.fullmatch(cursor) if isinstance(cursor, str) else None
        return cls(found[1], int(found[2])) if found else None

    def covers(self, other: "Position | None") -> bool:
        """Whether who has seen everything up to this place has seen that one."""
        return other is not None and other.epoch == self.epoch and other.offset <= self.offset


class TopicMessage:
    """One broadcast. Its payload is encoded when it is made, so that what cannot be sent fails at the sender; the frame
    around it is made once for each serializer that has a member to send it to (BC-3).

    `raw` is the JSON of the payload, or the bytes themselves when it is `binary`; `place` is where the message stands
    in the log of a topic that has one.
    """

    __slots__ = ("_made", "_payload", "binary", "event", "place", "raw", "topic")

    def __init__(
        self, topic: str, event: str, raw: bytes, *, binary: bool = False, place: "Position | None" = None
    ) -> None:
        self.topic = topic
        self.event = event
        self.raw = raw
        self.binary = binary
        self.place = place
        self._payload: Any = raw if binary else msgspec.UNSET
        self._made: dict[object, bytes | None] = {}

    @classmethod
    def of(cls, topic: str, event: str, payload: Any) -> "TopicMessage":
        """Raises `TypeError` or `ValueError` for what no frame can say: the payload is an object or bytes (V2-4)."""
        checked_event(event)
        if isinstance(payload, BUFFERS):
            checked_field("topic", topic)
            checked_field("event", event)
            return cls(topic, event, bytes(payload), binary=True)
        return cls(topic, event, encode_object(payload))

    @property
    def payload(self) -> Any:
        """What a channel sees of it; the same value here and on another node."""
        if self._payload is msgspec.UNSET:
            self._payload = msgspec.json.decode(self.raw)
        return self._payload

    def frame(self, serializer: "Serializer") -> bytes | None:
        """The frame of this version, None when it has no word for the message (V1-6)."""
        return self.once(serializer, serializer.broadcast)

    def once(self, key: object, make: Callable[["TopicMessage"], bytes | None]) -> bytes | None:
        """What `make` makes of the message, once for each key: the same message can be part of many batches."""
        try:
            return self._made[key]
        except KeyError:
            made = self._made[key] = make(self)
            return made


class Serializer(Protocol):
    """One version of the protocol. Encoding raises `TypeError` or `ValueError` at the sender for what has no form."""

    @property
    def version(self) -> str:
        """The newest `vsn` it answers to."""

    def __hash__(self) -> int:
        """What was framed with it once is kept for all who speak it."""

    def decode(self, data: str | bytes, max_depth: int) -> InboundFrame:
        """The frame in a text (str) or binary (bytes) message; raises `BadFrameError`, also for JSON that is nested
        deeper than `max_depth`."""

    def reply(self, join_ref: Any, ref: Any, topic: str, status: str, response: Any) -> bytes:
        """A reply; the response may be any JSON value, or bytes."""

    def push(self, join_ref: Any, topic: str, event: str, payload: Any) -> bytes:
        """A message to one member; the payload is an object or bytes."""

    def broadcast(self, message: TopicMessage) -> bytes | None:
        """A message to every member; None when this version cannot say it."""

    def close(self, join_ref: Any, topic: str) -> bytes:
        """The orderly end of a channel: the client does not come back by itself."""

    def error(self, join_ref: Any, topic: str, detail: str | None = None) -> bytes:
        """The end of a channel by a crash, with what went wrong when it may be told: the client joins again."""


def checked_event(event: str) -> str:
    """The name of an event of ours; `phx_` names belong to the protocol (MS-9)."""
    if event.startswith("phx_"):
        raise ValueError(f"event {event!r}: names that begin with phx_ belong to the protocol, choose another")
    return event


def checked_field(name: str, value: str) -> bytes:
    """A field of a binary frame as UTF-8; raises `ValueError` when it is too long for one (BN-7)."""
    field = value.encode()
    if len(field) > FIELD_BYTES:
        raise ValueError(f"the {name} has {len(field)} bytes: binary frames have room for {FIELD_BYTES}")
    return field
