"""The safe part of Erlang's external term format (TO-5): plain data, never a function, a process or a reference.

    Elixir                     Python
    integer, float             int, float
    binary                     str; bytes where it is not UTF-8
    nil, true, false           None, True, False
    :infinity                  math.inf
    list, tuple, map           list, tuple, dict

Source: the chapter "External Term Format" of the Erlang run-time system's user's guide.
"""

import math
import struct
from collections.abc import Iterable, Iterator, Mapping
from enum import IntEnum
from typing import Any

MAX_BYTES = 64 * 1024
MAX_DEPTH = 32

_VERSION = 131


class _Tag(IntEnum):
    """The first byte of a term."""

    NEW_FLOAT = 70
    SMALL_INTEGER = 97
    INTEGER = 98
    ATOM = 100
    SMALL_TUPLE = 104
    LARGE_TUPLE = 105
    NIL = 106
    STRING = 107
    LIST = 108
    BINARY = 109
    SMALL_BIG = 110
    SMALL_ATOM = 115
    MAP = 116
    ATOM_UTF8 = 118
    SMALL_ATOM_UTF8 = 119


_ATOMS: Mapping[bytes, Any] = {
    b"nil": None,
    b"true": True,
    b"false": False,
    b"infinity": math.inf,
    # The keys of the oldest form of a token (TO-3).
    b"data": "data",
    b"signed": "signed",
}


class TermError(ValueError):
    """These bytes are no term, or none of the safe part."""


def encode(value: Any) -> bytes:
    """The term of `value`; `TypeError` or `ValueError` for what has none here, or is larger than the bounds."""
    out = bytearray((_VERSION,))
    _write(out, value, MAX_DEPTH)
    return bytes(out)


def decode(data: bytes) -> Any:
    """The value of the one term in `data`; raises `TermError`. What it takes is in proportion to the size of `data`."""
    if len(data) > MAX_BYTES:
        raise TermError(f"larger than {MAX_BYTES} bytes")
    reader = _Reader(data)
    if reader.number(1) != _VERSION:
        raise TermError("not a term of version 131")
    value = reader.term(MAX_DEPTH)
    if reader.left:
        raise TermError("something follows the term")
    return value


def _write(out: bytearray, value: Any, depth: int) -> None:
    if depth == 0:
        raise ValueError(f"nested deeper than {MAX_DEPTH}")
    match value:
        case None | True | False:
            _write_atom(out, {None: b"nil", True: b"true", False: b"false"}[value])
        case int():
            _write_integer(out, value)
        case float():
            _write_float(out, value)
        case str() | bytes():
            data = value.encode() if isinstance(value, str) else value
            out += struct.pack(">BI", _Tag.BINARY, len(data)) + data
        case tuple():
            size = len(value)
            out += bytes((_Tag.SMALL_TUPLE, size)) if size < 256 else struct.pack(">BI", _Tag.LARGE_TUPLE, size)
            _write_all(out, value, depth)
        case list():
            _write_list(out, value, depth)
        case Mapping():
            out += struct.pack(">BI", _Tag.MAP, len(value))
            _write_all(out, (part for pair in value.items() for part in pair), depth)
        case _:
            raise TypeError(f"{type(value).__name__} has no external term: use numbers, text, lists and dicts")
    if len(out) > MAX_BYTES:
        raise ValueError(f"larger than {MAX_BYTES} bytes")


def _write_all(out: bytearray, values: Iterable[Any], depth: int) -> None:
    for value in values:
        _write(out, value, depth - 1)


def _write_atom(out: bytearray, name: bytes) -> None:
    out += bytes((_Tag.SMALL_ATOM_UTF8, len(name))) + name


def _write_integer(out: bytearray, value: int) -> None:
    if 0 <= value < 256:
        out += bytes((_Tag.SMALL_INTEGER, value))
    elif -(2**31) <= value < 2**31:
        out += struct.pack(">Bi", _Tag.INTEGER, value)
    else:
        size = (abs(value).bit_length() + 7) // 8
        if size > 255:
            raise ValueError("an integer of more than 255 bytes")
        out += bytes((_Tag.SMALL_BIG, size, value < 0)) + abs(value).to_bytes(size, "little")


def _write_float(out: bytearray, value: float) -> None:
    if value == math.inf:
        _write_atom(out, b"infinity")
    elif math.isfinite(value):
        out += struct.pack(">Bd", _Tag.NEW_FLOAT, value)
    else:
        raise ValueError(f"{value} has no external term")


def _write_list(out: bytearray, values: list[Any], depth: int) -> None:
    if not values:
        out.append(_Tag.NIL)
    elif len(values) < 2**16 and all(type(value) is int and 0 <= value < 256 for value in values):
        # As Erlang does, so that both sides make the same token of the same list.
        out += struct.pack(">BH", _Tag.STRING, len(values)) + bytes(values)
    else:
        out += struct.pack(">BI", _Tag.LIST, len(values))
        _write_all(out, values, depth)
        out.append(_Tag.NIL)


class _Reader:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    @property
    def left(self) -> int:
        return len(self._data) - self._at

    def take(self, size: int) -> bytes:
        if size > self.left:
            raise TermError("cut off")
        self._at += size
        return self._data[self._at - size : self._at]

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size), "big")

    def term(self, depth: int) -> Any:  # noqa: C901 - one case for each tag
        if depth == 0:
            raise TermError(f"nested deeper than {MAX_DEPTH}")
        match tag := self.number(1):
            case _Tag.SMALL_INTEGER:
                return self.number(1)
            case _Tag.INTEGER:
                return int.from_bytes(self.take(4), "big", signed=True)
            case _Tag.SMALL_BIG:
                return self._big(self.number(1))
            case _Tag.NEW_FLOAT:
                return self._float()
            case _Tag.BINARY:
                return _text(self.take(self.number(4)))
            case _Tag.ATOM | _Tag.ATOM_UTF8:
                return _atom(self.take(self.number(2)))
            case _Tag.SMALL_ATOM | _Tag.SMALL_ATOM_UTF8:
                return _atom(self.take(self.number(1)))
            case _Tag.SMALL_TUPLE:
                return tuple(self._terms(self.number(1), depth))
            case _Tag.LARGE_TUPLE:
                return tuple(self._terms(self.number(4), depth))
            case _Tag.NIL:
                return []
            case _Tag.STRING:
                return list(self.take(self.number(2)))
            case _Tag.LIST:
                return self._list(depth)
            case _Tag.MAP:
                return self._map(depth)
        raise TermError(f"tag {tag} is not of the safe part")

    def _terms(self, count: int, depth: int) -> Iterator[Any]:
        # One by one: a count of four billion costs nothing where nothing follows.
        return (self.term(depth - 1) for _ in range(count))

    def _big(self, size: int) -> int:
        negative, magnitude = self.number(1), int.from_bytes(self.take(size), "little")
        if negative > 1:
            raise TermError("an integer with no sign")
        return -magnitude if negative else magnitude

    def _float(self) -> float:
        value: float = struct.unpack(">d", self.take(8))[0]
        if not math.isfinite(value):
            raise TermError("a float that is no number")
        return value

    def _list(self, depth: int) -> list[Any]:
        values = list(self._terms(self.number(4), depth))
        if self.number(1) != _Tag.NIL:
            raise TermError("a list with a tail of its own")
        return values

    def _map(self, depth: int) -> dict[Any, Any]:
        size = self.number(4)
        try:
            found = {self.term(depth - 1): self.term(depth - 1) for _ in range(size)}
        except TypeError as error:
            raise TermError("a map with a list or a map for a key") from error
        if len(found) != size:
            raise TermError("a map with two keys that are the same here")
        return found


def _text(data: bytes) -> str | bytes:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data


def _atom(name: bytes) -> Any:
    if name not in _ATOMS:
        raise TermError("an atom that is not of the safe part")
    return _ATOMS[name]
