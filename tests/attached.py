"""Small files of every kind, for tests of what people attach."""

import struct
import zlib
from base64 import b64encode


def png(width: int = 3, height: int = 2, note: bytes = b"") -> bytes:
    """A whole picture, black, with a `note` that makes it another file."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = zlib.compress(b"".join(b"\0" + bytes(3 * width) for _ in range(height)))
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    text = chunk(b"tEXt", b"note\0" + note) if note else b""
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + text + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


GIF = b"GIF89a\x07\x00\x05\x00\x80\x00\x00" + bytes(6) + b",\0\0\0\0\7\0\5\0\0\2\2D\1\0;"
JPEG = b"\xff\xd8\xff\xe0\0\x10JFIF\0\1\1\0\0\1\0\1\0\0\xff\xc0\0\x11\x08\0\x09\0\x0b\3\1\x22\0\2\x11\1\3\x11\1\xff\xd9"
PDF = b"%PDF-1.4\n1 0 obj<</Type/Catalog>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n"
WAV = b"RIFF\x26\0\0\0WAVEfmt \x10\0\0\0\1\0\1\0\x40\x1f\0\0\x80\x3e\0\0\2\0\x10\0data\2\0\0\0\0\0"


def inline(data: bytes, kind: str = "image/png") -> str:
    """The file as an address that holds it."""
    return f"data:{kind};base64,{b64encode(data).decode()}"
