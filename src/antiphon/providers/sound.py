"""What is known of recorded sound without decoding it: its length, and what was written into it.

WAV: RIFF, https://www.mmsp.ece.mcgill.ca/Documents/AudioFormats/WAVE/WAVE.html. Ogg: RFC 3533, Opus in it: RFC 7845.
"""

from collections.abc import Iterator
from struct import Struct as Layout

_CHUNK, _RATE, _GRANULE, _VORBIS = Layout("<4sI"), Layout("<I"), Layout("<q"), Layout("<I")
_OPUS_RATE = 48_000
_LAST_PAGE = 65_536
"""Bytes from the end within which the last page of an Ogg file begins: a page has no more."""
_MOST_CHUNKS = 1_000
"""Chunks that are looked at; a file of empty ones would be read for seconds."""


def length_of(data: bytes) -> float | None:
    """Seconds of a WAV or Ogg file, None where they are not known: of another form, or one that contradicts itself."""
    if data[:4] == b"RIFF" and data[8:12] == b"WAVE":
        chunks = dict(_chunks(data[12:]))
        form, sound = chunks.get(b"fmt ", b""), chunks.get(b"data")
        rate = _RATE.unpack_from(form, 8)[0] if len(form) >= 12 else 0
        return len(sound) / rate if sound is not None and rate else None
    return _ogg_seconds(data) if data[:4] == b"OggS" else None


def comment_of(data: bytes) -> str | None:
    """The comment (`ICMT`) that was written into a WAV file."""
    if data[:4] != b"RIFF" or data[8:12] != b"WAVE":
        return None
    for name, content in _chunks(data[12:]):
        if name == b"LIST" and content[:4] == b"INFO" and (found := dict(_chunks(content[4:])).get(b"ICMT")):
            return found.rstrip(b"\0").decode("utf-8", "replace")
    return None


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """What a recorder that does not know the length yet says of it is more than there is: then it is the rest."""
    at = 0
    for _ in range(_MOST_CHUNKS):
        if at + _CHUNK.size > len(data):
            break
        name, size = _CHUNK.unpack_from(data, at)
        at += _CHUNK.size
        yield name, data[at : at + size]
        at += size + size % 2


def _ogg_seconds(data: bytes) -> float | None:
    head = data[:256]
    if b"OpusHead" in head:
        rate = _OPUS_RATE
    elif (at := head.find(b"\x01vorbis")) >= 0 and len(data) >= at + 16:
        rate = _VORBIS.unpack_from(data, at + 12)[0]
    else:
        return None
    last = data.rfind(b"OggS", max(0, len(data) - _LAST_PAGE))
    if last < 0 or len(data) < last + 14 or not rate:
        return None
    samples: int = _GRANULE.unpack_from(data, last + 6)[0]
    return samples / rate if samples >= 0 else None
