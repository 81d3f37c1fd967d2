"""What nodes say to each other, and what they make of nonsense."""

from contextlib import suppress
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.realtime.presence import messages
from antiphon.realtime.presence.messages import (
    PIECE,
    Ask,
    BadBodyError,
    Goodbye,
    Heartbeat,
    KnowledgePart,
    Transfer,
    decode,
    encode,
    pieces,
)
from antiphon.realtime.presence.spans import Spans
from antiphon.realtime.presence.state import Entry, Knowledge, Replica

A, B = Replica("a", "1"), Replica("b", "2")
ENTRY = Entry("room:1", "7", "ann", {"phx_ref": "r", "n": [1, {"x": None}]}, 20)
GOOD: list[Any] = [
    "heartbeat",
    ["a", "1"],
    [[["b", "2"], 3]],
    [[["a", "1"], [1, 2], {2: ["t", "p", "k", {"phx_ref": "r"}, 1]}]],
]


@pytest.mark.parametrize(
    "message",
    [
        Heartbeat(A, [(A, 3), (B, 0)]),
        Heartbeat(A, [], [KnowledgePart(A, [1, 3, 7, 7], {2: ENTRY, 7: ENTRY})]),
        Ask(A, [(B, 9)]),
        Transfer(A, [KnowledgePart(A, [], {}), KnowledgePart(B, [5, 9], {5: ENTRY})]),
        Goodbye(A),
    ],
)
def test_what_is_said_is_understood(message: Any) -> None:
    understood, state = decode(encode(message))
    assert understood == message
    for part in getattr(message, "parts", []):
        assert state[part.replica].known.flat() == part.known
        assert state[part.replica].entries == part.entries


def change(path: list[int], value: Any) -> bytes:
    """The good message with one thing in it replaced."""
    whole = msgspec.json.decode(msgspec.json.encode(GOOD))
    whole[3][0][2] = {int(clock): entry for clock, entry in whole[3][0][2].items()}
    target = whole
    for step in path[:-1]:
        target = target[step]
    target[path[-1]] = value
    return msgspec.msgpack.encode(whole)


def test_the_message_that_is_spoiled_below_is_good() -> None:
    decode(change([1, 0], "another"))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ([0], "hello"),
        ([1], "a"),
        ([1, 0], 3),
        ([2], [["b", 3]]),
        ([3, 0, 1], [2, 1]),
        ([3, 0, 1], [1]),
        ([3, 0, 1], [0, 4]),
        ([3, 0, 1], [1, 1]),
        ([3, 0, 2, 2], ["t", "p", "k", {"phx_ref": 3}, 1]),
        ([3, 0, 2, 2], ["t", "p", "k", {}, 1]),
        ([3, 0, 2, 2], ["t", "p", "k", {"phx_ref": "r"}, -1]),
        ([3, 0, 2, 2], ["t", 3, "k", {"phx_ref": "r"}, 1]),
        ([3, 0, 2, 2], ["t", "p", "k", [], 1]),
    ],
)
def test_nonsense_is_refused(path: list[int], value: Any) -> None:
    with pytest.raises(BadBodyError):
        decode(change(path, value))


@given(body=st.binary(max_size=200))
def test_no_bytes_do_harm(body: bytes) -> None:
    with pytest.raises(BadBodyError):
        decode(body)


@given(data=st.data())
def test_no_damage_on_the_way_does_harm(data: st.DataObject) -> None:
    body = bytearray(encode(Heartbeat(A, [(A, 3)], [KnowledgePart(A, [1, 3], {2: ENTRY})])))
    for _ in range(data.draw(st.integers(1, 3))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    with suppress(BadBodyError):
        decode(bytes(body[: data.draw(st.integers(1, len(body)))]))


def test_a_body_as_deep_as_a_well_is_refused() -> None:
    with pytest.raises(BadBodyError):
        decode(b"\x91" * 100_000)


def test_a_body_that_is_too_large_is_not_looked_into(monkeypatch: pytest.MonkeyPatch) -> None:
    body = encode(Goodbye(A))
    decode(body)
    monkeypatch.setattr(messages, "LARGEST_BODY", len(body) - 1)
    with pytest.raises(BadBodyError, match="too large"):
        decode(body)


def test_what_is_large_is_said_in_pieces_of_a_bounded_size() -> None:
    entries = {
        clock: Entry("t", f"{clock}", "k", {"phx_ref": f"{clock:016}", "text": "x" * 900}, 1000)
        for clock in range(1, 2001)
    }
    state = {A: Knowledge(Spans([(1, 2000)]), entries), B: Knowledge(Spans([(1, 9)]), {})}
    said = [encode(Transfer(A, parts)) for parts in pieces(state)]
    assert len(said) > 5
    assert max(map(len, said)) < 2 * PIECE
    heard = [decode(body)[1] for body in said]
    assert sum(len(state[A].entries) for state in heard if A in state) == 2000
    assert sum(B in state for state in heard) == 1
    assert list(pieces({})) == []


def test_a_replica_may_come_in_several_parts_of_one_message() -> None:
    parts = [KnowledgePart(A, [1, 2], {1: ENTRY}), KnowledgePart(B, [1, 1], {}), KnowledgePart(A, [4, 4], {4: ENTRY})]
    _, state = decode(encode(Transfer(A, parts)))
    assert sorted(state[A].entries) == [1, 4]
    assert state[A].known.flat() == [1, 2, 4, 4]
    assert state[B].known.flat() == [1, 1]
