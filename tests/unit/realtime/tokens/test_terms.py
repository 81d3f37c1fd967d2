"""The safe part of the external term format: what goes in comes out, and what is hostile goes nowhere."""

import math
import struct
import tracemalloc
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.realtime.tokens.terms import MAX_BYTES, MAX_DEPTH, TermError, decode, encode
from tests.rules import rule

# What `:erlang.term_to_binary/1` makes of it, with the atoms in their oldest, older and newest spelling.
WORKED: list[tuple[bytes, Any]] = [
    (b"\x83a\x01", 1),
    (b"\x83a\xff", 255),
    (b"\x83b\x00\x00\x01\x00", 256),
    (b"\x83b\xff\xff\xff\xff", -1),
    (b"\x83b\x80\x00\x00\x00", -(2**31)),
    (b"\x83n\x04\x00\x00\x00\x00\x80", 2**31),
    (b"\x83n\x04\x01\x01\x00\x00\x80", -(2**31) - 1),
    (b"\x83F?\xf8\x00\x00\x00\x00\x00\x00", 1.5),
    (b"\x83m\x00\x00\x00\x05caf\xc3\xa9", "café"),
    (b"\x83m\x00\x00\x00\x02\xff\xfe", b"\xff\xfe"),
    (b"\x83w\x03nil", None),
    (b"\x83w\x04true", True),
    (b"\x83w\x05false", False),
    (b"\x83w\x08infinity", math.inf),
    (b"\x83j", []),
    (b"\x83k\x00\x03\x01\x02\x03", [1, 2, 3]),
    (b"\x83l\x00\x00\x00\x02a\x01b\x00\x00\x01\x00j", [1, 256]),
    (b"\x83h\x00", ()),
    (b"\x83h\x02a\x01a\x02", (1, 2)),
    (b"\x83t\x00\x00\x00\x01m\x00\x00\x00\x01aa\x01", {"a": 1}),
]

READ_ONLY: list[tuple[bytes, Any]] = [
    (b"\x83d\x00\x03nil", None),
    (b"\x83s\x04true", True),
    (b"\x83v\x00\x05false", False),
    (b"\x83i\x00\x00\x00\x01a\x07", (7,)),
    (b"\x83l\x00\x00\x00\x01a\x07j", [7]),
    (b"\x83n\x01\x00\x07", 7),
    (b"\x83n\x00\x00", 0),
    (b"\x83b\x00\x00\x00\x07", 7),
    (b"\x83t\x00\x00\x00\x00", {}),
]

REFUSED = {
    "empty": b"",
    "only a version": b"\x83",
    "another version": b"\x82a\x01",
    "something behind": b"\x83a\x01a",
    "another atom": b"\x83w\x04exit",
    "an atom that is no UTF-8": b"\x83w\x01\xff",
    "a compressed term": b"\x83P\x00\x00\x00\x02x\x9cKd\x04\x00\x00\xc4\x00\x62",
    "a function": b"\x83p\x00\x00\x00\x10" + bytes(16),
    "an exported function": b"\x83qw\x06erlangw\x04halta\x00",
    "a process": b"\x83Xw\x04nodeb" + bytes(12),
    "a reference": b"\x83Z\x00\x01w\x04node" + bytes(8),
    "a port": b"\x83Yw\x04node" + bytes(8),
    "a bit string": b"\x83M\x00\x00\x00\x01\x07\xfe",
    "an old float": b"\x83c" + b"1.50000000000000000000e+00".ljust(31, b"\0"),
    "a large big": b"\x83o\x00\x00\x00\x01\x00\x07",
    "NaN": b"\x83F\x7f\xf8" + bytes(6),
    "infinity as a float": b"\x83F\x7f\xf0" + bytes(6),
    "a sign that is none": b"\x83n\x01\x02\x07",
    "a tail": b"\x83l\x00\x00\x00\x01a\x01a\x02",
    "a list as a key": b"\x83t\x00\x00\x00\x01ja\x01",
    "a key twice": b"\x83t\x00\x00\x00\x02a\x01a\x01w\x04truea\x02",
    "four billion elements": b"\x83l\xff\xff\xff\xff",
    "four billion pairs": b"\x83t\xff\xff\xff\xffa\x01a\x01",
    "four billion bytes": b"\x83m\xff\xff\xff\xff",
    "too deep": b"\x83" + b"h\x01" * 100_000,
    "too large": b"\x83m" + struct.pack(">I", MAX_BYTES) + bytes(MAX_BYTES),
}

scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**2040) + 1, 2**2040 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
    | st.binary()
)
keys = st.text() | st.integers() | st.tuples(st.integers(), st.text())
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner) | st.lists(inner).map(tuple) | st.dictionaries(keys, inner) | st.lists(st.integers(0, 255))
    ),
    max_leaves=30,
)


def as_read(value: Any) -> Any:
    """Bytes that are UTF-8 come back as text: the format has one word for both."""
    match value:
        case bytes():
            try:
                return value.decode()
            except UnicodeDecodeError:
                return value
        case list() | tuple():
            return type(value)(map(as_read, value))
        case dict():
            return {key: as_read(inner) for key, inner in value.items()}
    return value


@rule("TO-5")
@pytest.mark.parametrize(("data", "value"), WORKED)
def test_terms_are_those_of_erlang(data: bytes, value: Any) -> None:
    assert encode(value) == data
    found = decode(data)
    assert found == value
    assert type(found) is type(value)


@rule("TO-5")
@pytest.mark.parametrize(("data", "value"), READ_ONLY)
def test_other_spellings_of_the_same_are_read(data: bytes, value: Any) -> None:
    found = decode(data)
    assert found == value
    assert type(found) is type(value)


@rule("TO-5")
@pytest.mark.parametrize("data", REFUSED.values(), ids=REFUSED)
def test_what_is_not_of_the_safe_part_is_refused(data: bytes) -> None:
    with pytest.raises(TermError):
        decode(data)


@rule("TO-5")
@given(values)
def test_what_goes_in_comes_out(value: Any) -> None:
    found = decode(encode(value))
    assert found == as_read(value)
    assert type(found) is type(as_read(value))


@rule("TO-5")
@given(st.binary(max_size=200).map(lambda data: b"\x83" + data))
def test_hostile_bytes_are_a_value_or_an_error(data: bytes) -> None:
    try:
        value = decode(data)
    except TermError:
        return
    assert decode(encode(value)) == as_read(value)


@rule("TO-5")
@given(st.data(), values)
def test_a_damaged_term_is_a_value_or_an_error(data: st.DataObject, value: Any) -> None:
    term = bytearray(encode(value))
    term[data.draw(st.integers(0, len(term) - 1))] = data.draw(st.integers(0, 255))
    with suppress(TermError):
        decode(bytes(term))


@rule("TO-5")
@pytest.mark.parametrize("filler", [b"j", b"a\x01", b"h\x00", b"t\x00\x00\x00\x00", b"w\x03nil"])
def test_the_memory_a_term_takes_is_bounded(filler: bytes) -> None:
    size = MAX_BYTES // 8  # what it takes is in proportion, and measuring takes long
    data = b"\x83l\xff\xff\xff\xff" + filler * ((size - 6) // len(filler))
    tracemalloc.start()
    try:
        with pytest.raises(TermError):
            decode(data)
        assert tracemalloc.get_traced_memory()[1] < 100 * size
    finally:
        tracemalloc.stop()


@rule("TO-5")
def test_the_depth_is_bounded_both_ways() -> None:
    def nested(depth: int) -> Any:
        value: Any = []
        for _ in range(depth - 1):
            value = [value]
        return value

    assert decode(encode(nested(MAX_DEPTH))) == nested(MAX_DEPTH)
    with pytest.raises(ValueError, match="deeper"):
        encode(nested(MAX_DEPTH + 1))
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(ValueError, match="deeper"):
        encode(endless)
    # Each of 30 lists holds the one before twice: a billion leaves.
    laughs: Any = [1000]
    for _ in range(30):
        laughs = [laughs, laughs]
    with pytest.raises(ValueError, match="larger"):
        encode(laughs)


@rule("TO-5")
@pytest.mark.parametrize(
    ("value", "error"),
    [
        (object(), TypeError),
        ({1, 2}, TypeError),
        (1j, TypeError),
        (math.nan, ValueError),
        (-math.inf, ValueError),
        (2**2040, ValueError),
        ("\ud800", ValueError),
        ("x" * MAX_BYTES, ValueError),
    ],
)
def test_what_no_term_can_say_is_an_error_at_the_sender(value: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        encode(value)


def test_long_tuples_have_their_own_tag() -> None:
    long = tuple(range(300))
    assert encode(long)[1:2] == b"i"
    assert decode(encode(long)) == long
