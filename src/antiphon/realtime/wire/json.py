"""JSON as it goes over the wire: compact, with every value it has no word for refused at the sender (V2-7)."""

import math
from collections.abc import Mapping
from typing import Any

import msgspec

NULL = b"null"
"""The encoder writes NaN as null, so only a body with a null in it can hide one."""

encode = msgspec.json.Encoder().encode


def encode_object(payload: Any) -> bytes:
    """JSON of an object: a dict, a mapping or a msgspec struct."""
    body = encode_value(dict(payload) if isinstance(payload, Mapping) and type(payload) is not dict else payload)
    if body[:1] != b"{":
        raise TypeError(f"a payload must be an object (a dict or a struct) or bytes, not {type(payload).__name__}")
    return body


def encode_value(value: Any) -> bytes:
    """Compact JSON; raises for what JSON cannot say, NaN and infinities included."""
    return without_nan(encode(value), value)


def without_nan(body: bytes, value: Any) -> bytes:
    """`body`, which the encoder made of `value`; raises `ValueError` when a number in it was none."""
    # Not `find`, which takes half as long again to be called, nor `in`, which first tries whether bytes are a number.
    if body.partition(NULL)[1]:
        refuse_nan(value)
    return body


def refuse_nan(value: Any) -> None:
    """Raises `ValueError` when there is a number in `value` that is none."""
    if _has_non_finite(value):
        raise ValueError("NaN and infinity cannot be sent: JSON has no word for them")


def may_be_deeper(text: str, limit: int) -> bool:
    """Whether `text`, which is JSON, can be nested deeper than `limit` at all: only then an exact look is worth it."""
    # Every level is opened and closed again, so short texts are not even counted through.
    return len(text) > 2 * limit and text.count("[") + text.count("{") > limit


def deeper_than(value: Any, limit: int) -> bool:
    """Whether lists and dicts are nested deeper than `limit` in `value`."""
    level = [value]
    for _ in range(limit):
        level = [
            child
            for parent in level
            for child in (parent.values() if isinstance(parent, dict) else parent)
            if isinstance(child, list | dict)
        ]
        if not level:
            return False
    return True


_FINITE = frozenset({str, int, bool, type(None), bytes})


def _has_non_finite(value: Any) -> bool:
    kind = type(value)
    if kind in _FINITE:
        return False
    if kind is float:
        return not math.isfinite(value)
    if kind is dict:
        value = value.values()
    elif kind is not list and kind is not tuple:
        return _has_non_finite(msgspec.to_builtins(value))
    for item in value:  # noqa: SIM110 - `any` with a generator takes three times as long, and every message comes by
        if _has_non_finite(item):
            return True
    return False
