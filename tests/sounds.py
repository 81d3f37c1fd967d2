"""Sounds for tests: nothing is to be heard in them, but they are whole."""

from struct import pack

RATE = 8_000


def _chunk(name: bytes, content: bytes) -> bytes:
    return name + pack("<I", len(content)) + content + b"\0" * (len(content) % 2)


def wav(seconds: float = 0.5, comment: str | None = None) -> bytes:
    """Silence, with a comment: what the demo model hears in it."""
    form = _chunk(b"fmt ", pack("<HHIIHH", 1, 1, RATE, RATE, 1, 8))
    told = b"" if comment is None else _chunk(b"LIST", b"INFO" + _chunk(b"ICMT", comment.encode() + b"\0"))
    inside = b"WAVE" + form + told + _chunk(b"data", b"\x80" * int(RATE * seconds))
    return b"RIFF" + pack("<I", len(inside)) + inside


def ogg(seconds: float, *, opus: bool = True) -> bytes:
    """The first and the last page of a sound of that length."""
    rate = 48_000 if opus else 44_100
    head = b"OpusHead\x01\x01" if opus else b"\x01vorbis" + pack("<IBI", 0, 1, rate)
    return b"".join(
        b"OggS\0" + bytes([kind]) + pack("<qIII", granule, 7, 0, 0) + bytes([1, len(body)]) + body
        for kind, granule, body in ((2, 0, head), (4, int(rate * seconds), b"\0" * 20))
    )
