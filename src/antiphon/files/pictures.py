"""How large a picture is, by its first bytes: nothing is decoded."""

from struct import Struct

_PNG, _GIF, _JPEG, _LENGTH = Struct(">II"), Struct("<HH"), Struct(">HH"), Struct(">H")
_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
_MOST_SEGMENTS = 1_000
"""Segments and fill bytes that are looked at; a file of nothing else would be read for seconds."""


def dimensions(data: bytes) -> tuple[int, int] | None:
    """Width and height of a PNG, GIF or JPEG, None for anything else and for what is cut off before it says so."""
    if data.startswith(b"\x89PNG\r\n\x1a\n") and len(data) >= 24:
        width, height = _PNG.unpack_from(data, 16)
        return width, height
    if data.startswith((b"GIF87a", b"GIF89a")) and len(data) >= 10:
        width, height = _GIF.unpack_from(data, 6)
        return width, height
    return _of_jpeg(data) if data.startswith(b"\xff\xd8") else None


def _of_jpeg(data: bytes) -> tuple[int, int] | None:
    """https://www.w3.org/Graphics/JPEG/itu-t81.pdf, B.1.1: segments one behind the other, one of which is the frame."""
    at = 2
    for _ in range(_MOST_SEGMENTS):
        if at + 9 > len(data) or data[at] != 0xFF:
            break
        marker = data[at + 1]
        if marker in _FRAMES:
            height, width = _JPEG.unpack_from(data, at + 5)
            return width, height
        at += 2 + (0 if marker == 0xFF else _LENGTH.unpack_from(data, at + 2)[0])
        at -= marker == 0xFF  # a fill byte
    return None
