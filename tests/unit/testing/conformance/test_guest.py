"""What a guest takes for the same, and how it reads what a server says."""

from typing import Any

import pytest

from antiphon.testing.conformance.guest import Heard, Mismatch, alike, insist, pushed_bytes, read_binary, shown

EXAMPLE = "00 01 01 06 04 33 37 72 6f 6f 6d 3a 31 70 69 6e 67 01 02 ff"


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (1, 1, True),
        (1, 1.0, False),
        (1, True, False),
        (1, "1", False),
        ({"a": [1, {"b": None}]}, {"a": [1, {"b": None}]}, True),
        ({"a": [1]}, {"a": [True]}, False),
        ({"a": 1}, {"a": 1, "b": 2}, False),
        ([1, 2], [1], False),
        (b"x", b"x", True),
        (b"x", "x", False),
        (None, {}, False),
    ],
)
def test_values_that_are_the_same_json(one: Any, other: Any, same: bool) -> None:
    assert alike(one, other) is same


def test_a_binary_push_is_the_published_example() -> None:
    assert pushed_bytes("3", "7", "room:1", "ping", b"\x01\x02\xff").hex(" ") == EXAMPLE


@pytest.mark.parametrize(
    ("message", "heard"),
    [
        ("00 01 06 04 33 72 6f 6f 6d 3a 31 66 69 6c 65 01", ("3", None, "room:1", "file", b"\x01")),
        (
            "01 01 01 06 02 33 37 72 6f 6f 6d 3a 31 6f 6b 01",
            ("3", "7", "room:1", "phx_reply", {"status": "ok", "response": b"\x01"}),
        ),
        ("02 06 04 72 6f 6f 6d 3a 31 66 69 6c 65 01", (None, None, "room:1", "file", b"\x01")),
    ],
)
def test_the_three_kinds_of_a_server(message: str, heard: tuple[Any, ...]) -> None:
    data = bytes.fromhex(message)
    had = read_binary(data)
    assert (had.join_ref, had.ref, had.topic, had.event, had.payload) == heard
    assert had.raw == data


@pytest.mark.parametrize("message", [b"", b"\x03\x01\x01", b"\x00\x01", b"\x02"])
def test_what_no_server_sends_is_a_mismatch(message: bytes) -> None:
    with pytest.raises(Mismatch, match="kind 0, 1 or 2"):
        read_binary(message)


def test_a_mismatch_says_both_sides_in_short() -> None:
    insist(True, "nothing", None)
    with pytest.raises(Mismatch) as mismatch:
        insist(False, "a frame", Heard("1", None, "room:1", "x" * 1000, {}))
    assert mismatch.value.expected == "a frame"
    assert mismatch.value.received.startswith("('1', None, 'room:1', 'xxx")
    assert len(mismatch.value.received) < 420
    assert shown((1, ...)) == "(1, …)"
