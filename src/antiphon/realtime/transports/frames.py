"""WebSocket framing (RFC 6455) without I/O: bytes in, messages out, in whatever pieces they come."""

import codecs
import struct
from collections.abc import Callable, Iterable, Iterator
from itertools import chain

try:
    from websockets.speedups import apply_mask
except ImportError:  # no compiled wheel for this platform
    from websockets.utils import apply_mask

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA

COMPRESSED = 0x40
"""RSV1, the bit that permessage-deflate sets beside the opcode of a compressed message."""

NORMAL, GOING_AWAY, PROTOCOL_ERROR, BAD_TEXT, TOO_BIG = 1000, 1001, 1002, 1007, 1009
SERVER_ERROR, RESTART, TRY_LATER = 1011, 1012, 1013

UNAUTHORIZED = 3000
"""Registered for libraries, for access that is missing or has ended."""

_KNOWN = frozenset((CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG))
_RECEIVABLE = frozenset((1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011))


class FrameError(Exception):
    """The other side broke the protocol; `code` is what to close with."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code


Inflate = Callable[[bytes, int], bytes]

_HEAD = struct.Struct(">HH").unpack_from
_LENGTH = {126: struct.Struct(">H").unpack_from, 127: struct.Struct(">Q").unpack_from}


class FrameParser:
    """Turns what a client sends into messages, one parser per connection.

    Data messages come out whole; control frames come out where they stood, also between fragments. A message longer
    than `limit` bytes is refused by its header, before its body is kept. Fragments of text that can no longer become
    UTF-8 are refused without waiting for the last one. Nothing is held while nothing is pending.

    `inflate(payload, limit)` is for connections that negotiated compression; without it compressed frames are refused.
    """

    __slots__ = ("_buffer", "_decoder", "_first", "_fragments", "_inflate", "_limit")

    def __init__(self, limit: int, inflate: Inflate | None = None) -> None:
        self._limit = limit
        self._inflate = inflate
        self._buffer: bytearray | None = None
        self._fragments: bytearray | None = None
        self._decoder: codecs.IncrementalDecoder | None = None
        self._first = 0

    def feed(self, data: bytes) -> Iterable[tuple[int, bytes]]:
        """(opcode, payload) of every message completed by `data`; `FrameError` is raised where the stream breaks.

        Go through them all, once, before the next call. Messages before the broken frame come first.
        """
        if self._buffer is not None or self._fragments is not None:
            return self._read(data)
        # What is read is whole texts nearly always; without a generator they cost half as much.
        texts: list[tuple[int, bytes]] = []
        position, end, limit = 0, len(data), self._limit
        while end - position > 6:
            # Two numbers at once: final, text, masked and the short length are one; the next one is the medium length.
            kind, length = _HEAD(data, position)
            start = position + 8
            if kind != 0x81FE:
                if not 0x8180 <= kind < 0x81FE:
                    break
                length, start = kind - 0x8180, position + 6
            stop = start + length
            if end < stop or length > limit:
                break
            texts.append((TEXT, apply_mask(data[start:stop], data[start - 4 : start])))
            position = stop
        return texts if position == end else chain(texts, self._read(data[position:]))

    def _read(self, data: bytes) -> Iterator[tuple[int, bytes]]:
        view: bytes | bytearray = data
        if self._buffer is not None:
            self._buffer += data
            view = self._buffer
        position, end = 0, len(view)
        while end - position >= 2:
            # The mask bit is taken off with its value: where it was not set, the length is negative.
            first, length = view[position], view[position + 1] - 0x80
            if first & 0x70:
                self._check_reserved(first)
            if length < 0:
                raise FrameError(PROTOCOL_ERROR, "client frames must be masked")
            start = position + 6
            if length > 125:
                start = position + (8 if length == 126 else 14)
                if end < start - 4:
                    # A control frame is refused before its long length has even arrived.
                    self._check(first, length)
                    break
                (length,) = _LENGTH[length](view, position + 2)
            whole_text = first == 0x81 and self._fragments is None and length <= self._limit
            if not whole_text:
                self._check(first, length)
            stop = start + length
            if end < stop:
                break
            payload = apply_mask(view[start:stop], view[start - 4 : start])
            position = stop
            if whole_text:  # nearly every frame there is
                yield TEXT, payload
                continue
            message = self._complete(first, payload)
            if message is not None:
                yield message
        if position == end:
            self._buffer = None
        else:
            self._keep(view, position)

    def _keep(self, view: bytes | bytearray, position: int) -> None:
        if self._buffer is None:
            self._buffer = bytearray(view[position:])
        elif position:
            del self._buffer[:position]

    def _check_reserved(self, first: int) -> None:
        # Only the first frame of a data message may say that the message is compressed (RFC 7692, section 6).
        if first & 0x30 or self._inflate is None or first & 0x0F not in {TEXT, BINARY}:
            raise FrameError(PROTOCOL_ERROR, "reserved bits are set")

    def _check(self, first: int, length: int) -> None:
        opcode = first & 0x0F
        if opcode not in _KNOWN:
            raise FrameError(PROTOCOL_ERROR, f"opcode {opcode} does not exist")
        if opcode >= CLOSE:
            if length > 125 or not first & 0x80:
                raise FrameError(PROTOCOL_ERROR, "control frames are short and never fragmented")
            return
        held = 0
        if opcode == CONTINUATION:
            if self._fragments is None:
                raise FrameError(PROTOCOL_ERROR, "continuation of nothing")
            held = len(self._fragments)
        elif self._fragments is not None:
            raise FrameError(PROTOCOL_ERROR, "a new message inside a fragmented one")
        if held + length > self._limit:
            raise FrameError(TOO_BIG, f"messages are limited to {self._limit} bytes")

    def _complete(self, first: int, payload: bytes) -> tuple[int, bytes] | None:
        opcode, final = first & 0x0F, bool(first & 0x80)
        if opcode >= CLOSE:
            return opcode, payload
        if final and opcode != CONTINUATION:
            return self._message(first, payload)
        if self._fragments is None:
            self._first, self._fragments = first, bytearray()
            self._decoder = _UTF8() if first == TEXT else None
        self._fragments += payload
        if self._decoder is not None:
            _decode(self._decoder, payload, final=final)
        if not final:
            return None
        whole, self._fragments, self._decoder = bytes(self._fragments), None, None
        return self._message(self._first, whole)

    def _message(self, first: int, payload: bytes) -> tuple[int, bytes]:
        if first & COMPRESSED and self._inflate is not None:
            payload = self._inflate(payload, self._limit)
        return first & 0x0F, payload


_UTF8 = codecs.getincrementaldecoder("utf-8")


def _decode(decoder: codecs.IncrementalDecoder, payload: bytes, *, final: bool) -> None:
    try:
        decoder.decode(payload, final)
    except UnicodeDecodeError as error:
        raise FrameError(BAD_TEXT, "text is not UTF-8") from error


_MEDIUM = struct.Struct(">BBH").pack


def frame(opcode: int, payload: bytes) -> bytes:
    """One final, unmasked frame, as a server sends it; `COMPRESSED | opcode` where the payload is deflated."""
    length = len(payload)
    if length < 126:
        return bytes((0x80 | opcode, length)) + payload
    if length < 65536:
        return _MEDIUM(0x80 | opcode, 126, length) + payload
    return bytes((0x80 | opcode, 127)) + length.to_bytes(8, "big") + payload


_TEXT_HEADS = tuple(
    bytes((0x80 | TEXT, length)) if length < 126 else _MEDIUM(0x80 | TEXT, 126, length) for length in range(1024)
)
"""What stands before nearly every text that is sent, by its length: to make it takes as long as to join the two."""


def message_frame(body: bytes) -> bytes:
    """The frame of one message: a text, or binary where the body is of a class of its own, as `Binary` is."""
    if type(body) is not bytes:
        return frame(BINARY, body)
    length = len(body)
    return _TEXT_HEADS[length] + body if length < 1024 else frame(TEXT, body)


def close_frame(code: int) -> bytes:
    """A close frame that names its code and no reason: reasons are for logs."""
    return frame(CLOSE, code.to_bytes(2, "big"))


def close_answer(payload: bytes) -> int:
    """The code to answer a received close with: 1000, or 1002 / 1007 when the close itself was malformed (DC-8)."""
    if not payload:
        return NORMAL
    if len(payload) == 1:
        return PROTOCOL_ERROR
    code = int.from_bytes(payload[:2], "big")
    try:
        str(payload[2:], "utf-8")
    except UnicodeDecodeError:
        return BAD_TEXT
    return NORMAL if code in _RECEIVABLE or 3000 <= code < 5000 else PROTOCOL_ERROR
