"""The port of the JavaScript client behaves as the client does (PR-16): else it would prove nothing."""

from typing import Any

from tests.rules import rule
from tests.unit.realtime.presence.client import PresenceView, View


def meta(ref: str, **more: Any) -> dict[str, Any]:
    return {"phx_ref": ref, **more}


def test_state_then_diffs() -> None:
    seen: list[tuple[Any, ...]] = []
    view = PresenceView(
        lambda key, current, new: seen.append(("join", key, current is None)),
        lambda key, current, left: seen.append(("leave", key, current["metas"])),
    )
    view.sync_state({"u1": {"metas": [meta("1")]}, "u2": {"metas": [meta("2")]}})
    assert seen == [("join", "u1", True), ("join", "u2", True)]
    view.sync_diff({"joins": {"u1": {"metas": [meta("1b")]}}, "leaves": {"u2": {"metas": [meta("2")]}}})
    assert view.state == {"u1": {"metas": [meta("1"), meta("1b")]}}
    assert seen[2:] == [("join", "u1", False), ("leave", "u2", [])]


def test_a_new_state_brings_and_takes_what_differs() -> None:
    view = PresenceView()
    view.sync_state({"u1": {"metas": [meta("1"), meta("1b")]}, "u2": {"metas": [meta("2")]}})
    state: View = {"u1": {"metas": [meta("1b"), meta("1c")]}, "u3": {"metas": [meta("3")]}}
    view.sync_state(state)
    assert view.state == state


@rule("PR-6", "PR-16")
def test_joins_come_before_leaves_so_an_update_keeps_the_key() -> None:
    left: list[Any] = []
    view = PresenceView(on_leave=lambda key, current, leaves: left.append(current["metas"]))
    view.sync_state({"u": {"metas": [meta("1", n=1)]}})
    view.sync_diff({"joins": {"u": {"metas": [meta("2", n=2)]}}, "leaves": {"u": {"metas": [meta("1", n=1)]}}})
    assert view.state == {"u": {"metas": [meta("2", n=2)]}}
    assert left == [[meta("2", n=2)]]


@rule("PR-10", "PR-16")
def test_a_join_again_changes_nothing_and_a_leave_of_a_stranger_neither() -> None:
    view = PresenceView()
    state: View = {"u": {"metas": [meta("1")]}}
    view.sync_state(state)
    view.sync_diff({"joins": state, "leaves": {"stranger": {"metas": [meta("9")]}}})
    assert view.state == state
