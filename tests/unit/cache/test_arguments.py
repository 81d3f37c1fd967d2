"""Which calls are the same call."""

import gc
import weakref
from enum import StrEnum
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct

from antiphon.cache.arguments import key_of

PLAIN = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary()
DATA = st.recursive(
    PLAIN, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner) | st.tuples(inner, inner), max_leaves=12
)


class Plain:
    pass


class Slotted:
    __slots__ = ()


class Point(Struct, frozen=True):
    x: int


class Colour(StrEnum):
    RED = "red"


def key(*args: Any, **named: Any) -> Any:
    return key_of(args, named)


@given(DATA)
def test_equal_data_is_the_same_key(value: Any) -> None:
    def copy(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: copy(item) for name, item in reversed(value.items())}
        return type(value)(map(copy, value)) if isinstance(value, list | tuple) else value

    assert key(value) == key(copy(value))
    assert hash(key(value)) == hash(key(copy(value)))
    assert key(value) is not None


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (1, 1.0),
        (1, True),
        (0, False),
        (0.0, -0.0),
        ("1", 1),
        ("a", b"a"),
        ([1], (1,)),
        ([1], [1.0]),
        ({1}, frozenset({1})),
        ({1}, [1]),
        ({"a": 1}, {"a": True}),
        ({"a": [1]}, {"a": [2]}),
        (["a", "b"], ["ab"]),
        ("red", Colour.RED),
        (None, "None"),
        (int, float),
        (Point(1), Point(2)),
        (Plain(), Plain()),
        (complex(0, 0.0), complex(0, -0.0)),
    ],
)
def test_what_is_not_the_same(one: Any, other: Any) -> None:
    assert key(one) != key(other)
    assert key(a=one) != key(a=other)


def test_names_count_and_their_order_does_not() -> None:
    assert key(1, a=2, b=3) == key(1, b=3, a=2)
    assert key(1) != key(a=1)
    assert key(1, 2) != key((1, 2))
    assert key() != key(None)
    assert key(("a", 1)) != key(a=1)


def test_values_and_identities() -> None:
    plain, slotted = Plain(), Slotted()
    assert key(plain) == key(plain)
    assert key(slotted) == key(slotted)
    assert key(Point(1)) == key(Point(1))
    assert key(float("nan")) == key(float("nan"))


def test_an_object_is_not_kept_alive() -> None:
    plain = Plain()
    kept, gone = key(plain, [plain]), weakref.ref(plain)
    del plain
    gc.collect()
    assert gone() is None
    assert {kept: 1}[kept] == 1


def test_what_cannot_be_compared_has_no_key() -> None:
    circle: list[Any] = []
    circle.append(circle)
    assert key(bytearray()) is None
    assert key([{"a": bytearray()}]) is None
    assert key(circle) is None
    assert key(x=circle) is None


def test_data_that_was_changed_is_another_key() -> None:
    names = ["a"]
    before = key(names)
    names.append("b")
    assert key(names) != before
