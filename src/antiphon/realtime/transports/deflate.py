"""permessage-deflate (RFC 7692), without any state between messages: what many receive alike is compressed once."""

import zlib

from antiphon.realtime.transports.frames import (
    BAD_TEXT,
    BINARY,
    COMPRESSED,
    TEXT,
    TOO_BIG,
    FrameError,
    frame,
    message_frame,
)

_NAME = "permessage-deflate"
_WINDOW_BITS = 12
_LARGEST_WINDOW_BITS = 15
_LEVEL, _MEMORY_LEVEL = 1, 5
"""With a window of 12 bits a fresh compressor costs about 5 µs, with zlib's own settings 70."""

_SMALLEST = 256
"""Shorter bodies fit into one packet anyway."""

_TAIL = b"\x00\x00\xff\xff"
"""What every flush ends with, and what RFC 7692 leaves out on the wire (section 7.2.1)."""

_ANSWER = f"{_NAME}; server_no_context_takeover; client_no_context_takeover; server_max_window_bits={_WINDOW_BITS}"

_WINDOWS = frozenset(str(bits) for bits in range(8, _LARGEST_WINDOW_BITS + 1))
_PARAMETERS: dict[str, frozenset[str | None]] = {
    "server_no_context_takeover": frozenset((None,)),
    "client_no_context_takeover": frozenset((None,)),
    # Whoever asks for a smaller window than that of the shared frames goes without.
    "server_max_window_bits": frozenset(bits for bits in _WINDOWS if int(bits) >= _WINDOW_BITS),
    "client_max_window_bits": _WINDOWS | {None},
}


def negotiate(offers: str) -> str | None:
    """The answer to the header `Sec-WebSocket-Extensions`, None when none of its offers can be taken."""
    return _ANSWER if any(map(_acceptable, offers.split(","))) else None


def _acceptable(offer: str) -> bool:
    name, *parameters = (part.strip() for part in offer.split(";"))
    seen = set()
    for parameter in parameters:
        key, equals, text = (part.strip() for part in parameter.partition("="))
        if len(text) > 2 and text[0] == text[-1] == '"':
            text = text[1:-1]
        if key in seen or (text if equals else None) not in _PARAMETERS.get(key, ()):
            return False
        seen.add(key)
    return name == _NAME


def deflated_frame(body: bytes) -> bytes:
    """The frame of one message as `message_frame` makes it, compressed where that makes it smaller.

    It is the same for everybody who negotiated.
    """
    if len(body) < _SMALLEST:
        return message_frame(body)
    compressor = zlib.compressobj(_LEVEL, zlib.DEFLATED, -_WINDOW_BITS, _MEMORY_LEVEL)
    packed = compressor.compress(body) + compressor.flush(zlib.Z_SYNC_FLUSH)
    if len(packed) >= len(body):
        return message_frame(body)
    return frame(COMPRESSED | (TEXT if type(body) is bytes else BINARY), packed[: -len(_TAIL)])


def inflate(payload: bytes, limit: int) -> bytes:
    """The message in a compressed payload.

    Raises `FrameError` with 1009 as soon as it grows beyond `limit` bytes, with 1007 when it is not what deflate makes.
    """
    inflater = zlib.decompressobj(-_LARGEST_WINDOW_BITS)
    try:
        body = inflater.decompress(payload + _TAIL, limit + 1)
    except zlib.error as error:
        raise FrameError(BAD_TEXT, "a compressed message cannot be inflated") from error
    if len(body) > limit:
        raise FrameError(TOO_BIG, f"messages are limited to {limit} bytes, also when inflated")
    # A block that says it is the last one may only be followed by the empty one of section 7.2.3.4.
    if inflater.eof and inflater.unused_data not in {_TAIL, b"\x00" + _TAIL}:
        raise FrameError(BAD_TEXT, "a compressed message goes on after its last block")
    return body
