"""What the demo model draws: a picture of the digest of its prompt, as a PNG (https://www.w3.org/TR/png-3/)."""

import zlib
from hashlib import blake2s
from struct import pack

_CELLS = 8
_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def draw(prompt: str, width: int, height: int, comment: str = "") -> bytes:
    """Eight by eight cells, the left half mirrored, in four colours: the same prompt always gives the same bytes.
    `comment` lies in the file unseen, and makes it as large as it is long."""
    digest = blake2s(prompt.encode("utf-8", "surrogatepass")).digest()
    cells = [[_cell(digest, min(x, _CELLS - 1 - x), y) for x in range(_CELLS)] for y in range(_CELLS)]
    rows = [b"\0" + bytes(row[x * _CELLS // width] for x in range(width)) for row in cells]
    body = b"".join(rows[y * _CELLS // height] for y in range(height))
    header = pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)  # 8 bits a pixel, each the number of a colour
    told = _chunk(b"tEXt", b"Comment\0" + comment.encode("latin-1", "replace")) if comment else b""
    palette = b"\xff\xff\xff" + digest[-9:]
    chunks = (_chunk(b"IHDR", header), told, _chunk(b"PLTE", palette), _chunk(b"IDAT", zlib.compress(body)))
    return _SIGNATURE + b"".join(chunks) + _chunk(b"IEND", b"")


def _cell(digest: bytes, x: int, y: int) -> int:
    """Two bits of the digest."""
    at = y * _CELLS // 2 + x
    return digest[at // 4] >> 2 * (at % 4) & 3


def _chunk(kind: bytes, data: bytes) -> bytes:
    return pack(">I", len(data)) + kind + data + pack(">I", zlib.crc32(kind + data))
