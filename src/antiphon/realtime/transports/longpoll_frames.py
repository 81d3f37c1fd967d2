"""What client and server say through HTTP: several frames of the client in a body, and those of the server as texts."""

import re
from base64 import b64decode
from collections.abc import Callable
from itertools import islice
from typing import Any

from antiphon.realtime.wire.base import InboundFrame, Serializer, TopicMessage

NDJSON = "application/x-ndjson"
TOKEN_HEADER = "x-phoenix-longpoll-token"  # noqa: S105 - the name of a header

TAKEN, NOTHING, TOO_SLOW, GONE = 200, 204, 408, 410
"""What a client is told in the body, under HTTP 200."""

MOST_FRAMES = 100
"""In one body; what follows them is ignored, as Phoenix does it (LP-9)."""

_LINE = re.compile(rb"[^\r\n]+")


def frames_in(body: bytes, content_type: str, largest: int) -> list[str | bytes]:
    """The text frames (str) and binary ones (bytes) of a body. `ValueError` when it cannot be read, or when one of them
    has more than `largest` bytes."""
    if content_type != NDJSON:
        return [_text(body, largest)]
    lines = (found[0] for found in _LINE.finditer(body))
    return [
        _text(line, largest) if line.startswith(b"[") else _binary(line, largest) for line in islice(lines, MOST_FRAMES)
    ]


def _text(line: bytes, largest: int) -> str:
    return str(_bounded(line, largest), "utf-8")


def _binary(line: bytes, largest: int) -> bytes:
    return _bounded(b64decode(line, validate=True), largest)


def _bounded(frame: bytes, largest: int) -> bytes:
    if len(frame) > largest:
        raise ValueError(f"frames are limited to {largest} bytes")
    return frame


class TextOnly:
    """A serializer for clients that can be sent texts alone: bytes fail at the sender, and are left out of what is for
    many (LP-11), of which `left_out` is told once a message."""

    __slots__ = ("_inner", "_left_out", "version")

    def __init__(self, inner: Serializer, left_out: Callable[[], None]) -> None:
        self.version = inner.version
        self._inner = inner
        self._left_out = left_out

    def decode(self, data: str | bytes, max_depth: int) -> InboundFrame:
        """See `Serializer`."""
        return self._inner.decode(data, max_depth)

    def reply(self, join_ref: Any, ref: Any, topic: str, status: str, response: Any) -> bytes:
        """See `Serializer`."""
        return _sendable(self._inner.reply(join_ref, ref, topic, status, response))

    def push(self, join_ref: Any, topic: str, event: str, payload: Any) -> bytes:
        """See `Serializer`."""
        return _sendable(self._inner.push(join_ref, topic, event, payload))

    def broadcast(self, message: TopicMessage) -> bytes | None:
        """See `Serializer`."""
        if not message.binary:
            return message.frame(self._inner)
        self._left_out()
        return None

    def close(self, join_ref: Any, topic: str) -> bytes:
        """See `Serializer`."""
        return self._inner.close(join_ref, topic)

    def error(self, join_ref: Any, topic: str, detail: str | None = None) -> bytes:
        """See `Serializer`."""
        return self._inner.error(join_ref, topic, detail)


def _sendable(frame: bytes) -> bytes:
    if type(frame) is not bytes:
        raise TypeError("bytes cannot be sent to a long-poll client: it is sent texts only")
    return frame
