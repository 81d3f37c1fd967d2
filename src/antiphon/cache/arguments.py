"""From the arguments of a call to the key of its result."""

import weakref
from collections.abc import Hashable, Mapping
from typing import Any

_PLAIN = frozenset({str, int, bool, bytes, type(None)})


def key_of(arguments: tuple[Any, ...], named: Mapping[str, Any]) -> Hashable | None:
    """Equal for calls with the same arguments of the same types, None for arguments that cannot be compared.

    `1`, `1.0` and `True` differ, as do `0.0` and `-0.0`. Lists, sets and dictionaries count by what is in them now.
    Objects that are equal to nothing but themselves (instances of most classes) are not kept alive by their key.
    """
    try:
        return _frozen(arguments), _frozen(dict(named)) if named else None
    except (TypeError, RecursionError):  # cannot be hashed, or contains itself
        return None


def _frozen(value: Any) -> Hashable:
    kind = type(value)
    if kind in _PLAIN:
        return kind, value
    if kind in {float, complex}:
        return kind, repr(value)
    if kind in {list, tuple}:
        return kind, tuple([_frozen(item) for item in value])
    if kind in {set, frozenset}:
        return kind, frozenset([_frozen(item) for item in value])
    if kind is dict:
        return kind, frozenset([(_frozen(key), _frozen(item)) for key, item in value.items()])
    if getattr(kind, "__hash__", None) is object.__hash__:
        return _identity(value)
    hash(value)
    return kind, value


def _identity(value: Any) -> Hashable:
    try:
        reference = weakref.ref(value)
    except TypeError:  # its class has no room for a reference
        return type(value), value
    hash(reference)  # so that the key can still be found, and dropped, when the object is gone
    return reference
