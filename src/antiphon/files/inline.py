"""Bytes as base64, which is how files stand in JSON.

Whoever turns a whole file keeps every other thread waiting, the event loop among them, so it is done in pieces. What is
`LARGE` belongs into a thread nevertheless (`runtime.threads.run_async`).
"""

from base64 import b64decode, b64encode
from collections.abc import Iterator
from time import sleep
from typing import AnyStr

LARGE = 256 << 10
"""Bytes from which on others in the event loop would notice."""

_PIECE = 3 << 16  # of three bytes each time are made four letters, and only the end is padded
_LETTERS = _PIECE // 3 * 4


def to_base64(data: bytes) -> str:
    return b"".join(map(b64encode, _pieces(data, _PIECE))).decode()


def from_base64(text: str) -> bytes:
    """Raises `ValueError` for what is none."""
    pieces = [b64decode(piece, validate=True) for piece in _pieces(text, _LETTERS)]
    if any(len(piece) < _PIECE for piece in pieces[:-1]):
        raise ValueError("something stands behind the padding")
    return b"".join(pieces)


def _pieces(whole: AnyStr, length: int) -> Iterator[AnyStr]:
    for at in range(0, len(whole), length):
        if at:
            sleep(0)  # others run now, and not only when the interpreter takes it away
        yield whole[at : at + length]
