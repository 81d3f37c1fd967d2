"""The replicated set: whatever order, loss and repetition changes come in, the same changes give the same set."""

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.realtime.presence.spans import Spans
from antiphon.realtime.presence.state import Entry, Knowledge, OwnEntries, Replica, State, merge
from tests.rules import rule

A, B, ME = Replica("a", "1"), Replica("b", "1"), Replica("me", "1")


def entry(ref: str, key: str = "k", **meta: Any) -> Entry:
    return Entry("t", "p", key, {"phx_ref": ref, **meta}, 10)


def plain(state: State) -> dict[Replica, tuple[list[tuple[int, int]], list[tuple[int, str]]]]:
    """All there is to know of a state."""
    return {
        replica: (list(each.known), sorted((clock, entry.ref) for clock, entry in each.entries.items()))
        for replica, each in state.items()
    }


@st.composite
def histories(draw: st.DrawFn) -> tuple[Knowledge, list[Knowledge]]:
    """What a replica tracks in the end, and the deltas of all its ticks."""
    own, live, deltas = OwnEntries(), list[int](), list[Knowledge]()
    for number, step in enumerate(draw(st.lists(st.sampled_from("aaarut"), max_size=25))):
        if step == "t":
            delta = own.take_delta()
            deltas += [] if delta is None else [delta]
        elif step == "a" or not live:
            live.append(own.add(entry(f"{number}")))
        else:
            live.remove(clock := draw(st.sampled_from(live)))
            own.remove(clock)
            if step == "u":
                live.append(own.add(entry(f"{number}")))
    delta = own.take_delta()
    return own.knowledge, deltas + ([] if delta is None else [delta])


@st.composite
def partial_states(draw: st.DrawFn, most: int = 3) -> list[dict[Replica, Knowledge]]:
    """States of several nodes that have each received some of the deltas of the same two replicas, or all."""
    sources = {A: draw(histories()), B: draw(histories())}
    states = []
    for _ in range(most):
        state = {A: Knowledge(), B: Knowledge()}
        for replica, (whole, deltas) in sources.items():
            heard = draw(st.lists(st.sampled_from([*deltas, whole]), max_size=6))
            for delta in heard:
                state = merge(state, {replica: delta}).state
        states.append(state)
    return states


@rule("TK-4")
@given(states=partial_states(2))
def test_merge_is_commutative(states: list[dict[Replica, Knowledge]]) -> None:
    one, other = states
    assert plain(merge(one, other).state) == plain(merge(other, one).state)


@rule("TK-4")
@given(states=partial_states(3))
def test_merge_is_associative(states: list[dict[Replica, Knowledge]]) -> None:
    one, two, three = states
    left = merge(merge(one, two).state, three).state
    right = merge(one, merge(two, three).state).state
    assert plain(left) == plain(right)


@rule("TK-4")
@given(states=partial_states(2))
def test_merge_is_idempotent_and_says_what_it_did(states: list[dict[Replica, Knowledge]]) -> None:
    one, other = states
    before = plain(one)
    merged = merge(one, other)
    again = merge(merged.state, other)
    assert plain(again.state) == plain(merged.state)
    assert (again.joins, again.leaves) == ([], [])
    assert plain(one) == before, "merge must not change what it is given"
    for replica, knowledge in merged.state.items():
        expected = dict(one[replica].entries)
        for element in merged.leaves:
            if element.replica == replica:
                del expected[element.clock]
        expected.update({each.clock: each.entry for each in merged.joins if each.replica == replica})
        assert expected == knowledge.entries


@rule("TK-2", "TK-3", "TK-4")
@given(data=st.data(), history=histories())
def test_all_deltas_in_any_order_are_the_whole(data: st.DataObject, history: tuple[Knowledge, list[Knowledge]]) -> None:
    whole, deltas = history
    state: dict[Replica, Knowledge] = {A: Knowledge()}
    for delta in data.draw(st.permutations(deltas + deltas)):
        state = merge(state, {A: delta}).state
    assert plain(state) == plain({A: whole})
    assert len(state[A].known) <= 1, "without gaps there is no cloud"


@rule("TK-9")
@given(data=st.data(), history=histories())
def test_since_brings_whoever_knows_the_beginning_to_the_end(
    data: st.DataObject, history: tuple[Knowledge, list[Knowledge]]
) -> None:
    whole, deltas = history
    state: dict[Replica, Knowledge] = {A: Knowledge()}
    for delta in data.draw(st.lists(st.sampled_from(deltas), max_size=5)) if deltas else []:
        state = merge(state, {A: delta}).state
    lacking = whole.since(state[A].known.context)
    assert all(clock > state[A].known.context for clock in lacking.entries), "nothing is sent twice"
    assert plain(merge(state, {A: lacking}).state) == plain({A: whole})


@given(data=st.data(), history=histories(), most=st.integers(1, 60))
def test_pieces_are_true_by_themselves_and_the_whole_together(
    data: st.DataObject, history: tuple[Knowledge, list[Knowledge]], most: int
) -> None:
    whole, deltas = history
    state: dict[Replica, Knowledge] = {A: Knowledge()}
    for delta in data.draw(st.lists(st.sampled_from(deltas), max_size=3)) if deltas else []:
        state = merge(state, {A: delta}).state
    for piece in data.draw(st.permutations(list(whole.split(most)))):
        assert len(piece.entries) <= max(1, most // 10)
        state = merge(state, {A: piece}).state
        removed = [clock for clock in state[A].entries if clock not in whole.entries]
        assert removed == [], "each piece tells of all removals"
    assert plain(state) == plain({A: whole})


@rule("TK-4")
def test_nothing_is_taken_about_strangers_nor_about_oneself() -> None:
    local = {ME: Knowledge(Spans([(1, 1)]), {1: entry("mine")}), A: Knowledge()}
    remote = {
        ME: Knowledge(Spans([(1, 9)]), {}),
        A: Knowledge(Spans([(1, 1)]), {1: entry("a")}),
        B: Knowledge(Spans([(1, 1)]), {1: entry("b")}),
    }
    merged = merge(local, remote, ME)
    assert [element.entry.ref for element in merged.joins] == ["a"]
    assert plain(merged.state)[ME] == ([(1, 1)], [(1, "mine")])
    assert B not in merged.state


@rule("TK-4")
def test_an_addition_the_other_side_has_not_heard_of_wins() -> None:
    local = {A: Knowledge(Spans([(1, 2)]), {1: entry("old"), 2: entry("new")})}
    remote = {A: Knowledge(Spans([(1, 1), (3, 3)]), {})}
    merged = merge(local, remote)
    assert [element.entry.ref for element in merged.leaves] == ["old"]
    assert [each.ref for each in merged.state[A].entries.values()] == ["new"]


@rule("TK-3")
def test_what_comes_behind_a_gap_waits_in_the_cloud() -> None:
    state: dict[Replica, Knowledge] = {A: Knowledge()}
    state = merge(state, {A: Knowledge(Spans([(4, 5)]), {4: entry("4")})}).state
    assert state[A].known.context == 0
    assert 4 in state[A].known
    late = merge(state, {A: Knowledge(Spans([(1, 3)]), {2: entry("2")})})
    assert late.state[A].known.context == 5
    assert sorted(late.state[A].entries) == [2, 4]


@rule("TK-2", "TK-5", "TK-6")
def test_an_update_is_a_removal_and_an_addition_in_one_delta() -> None:
    own = OwnEntries()
    clock = own.add(entry("1"))
    first = own.take_delta()
    assert first is not None
    own.remove(clock)
    assert own.add(entry("2")) == 3
    second = own.take_delta()
    assert second is not None
    assert second.known.flat() == [1, 3]
    state = merge({A: Knowledge()}, {A: first}).state
    merged = merge(state, {A: second})
    assert [element.entry.ref for element in merged.leaves] == ["1"]
    assert [element.entry.ref for element in merged.joins] == ["2"]
    assert own.take_delta() is None


def test_what_is_removed_twice_is_an_error() -> None:
    own = OwnEntries()
    own.remove(own.add(entry("1")))
    with pytest.raises(KeyError):
        own.remove(1)


@rule("TK-19")
def test_updates_and_removals_leave_nothing_behind_elsewhere() -> None:
    """phoenix_pubsub #175: with each update a remote node kept one more."""

    def life(own: OwnEntries, number: int) -> Iterator[Knowledge]:
        clock = own.add(entry(f"{number}"))
        yield own.take_delta() or Knowledge()
        for update in range(3):
            own.remove(clock)
            clock = own.add(entry(f"{number}-{update}"))
        yield own.take_delta() or Knowledge()
        own.remove(clock)
        yield own.take_delta() or Knowledge()

    own, state = OwnEntries(), {A: Knowledge()}
    for number in range(200):
        for delta in life(own, number):
            state = merge(state, {A: delta}).state
            assert len(state[A].entries) == len(own.knowledge.entries) <= 1
    assert state[A].size == 1
