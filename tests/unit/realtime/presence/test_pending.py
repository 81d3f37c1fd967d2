"""Many changes become one diff, which brings every client from what it had to what there is."""

from hypothesis import given
from hypothesis import strategies as st

from antiphon.realtime.presence.pending import PendingDiff
from antiphon.realtime.presence.roster import Roster
from antiphon.realtime.presence.state import Entry
from tests.rules import rule
from tests.unit.realtime.presence.client import PresenceView, by_ref


def entry(ref: str, key: str = "k") -> Entry:
    return Entry("t", "p", key, {"phx_ref": ref}, 10)


@rule("PR-4")
def test_both_sides_are_always_there() -> None:
    pending = PendingDiff()
    pending.join(entry("1"))
    assert pending.diff() == {"joins": {"k": {"metas": [{"phx_ref": "1"}]}}, "leaves": {}}
    assert PendingDiff().diff() == {"joins": {}, "leaves": {}}


@rule("PR-5")
def test_several_changes_of_a_key_are_one_entry_of_the_diff() -> None:
    pending = PendingDiff()
    for each in (entry("1"), entry("2"), entry("3", key="other")):
        pending.join(each)
    assert pending.diff()["joins"] == {
        "k": {"metas": [{"phx_ref": "1"}, {"phx_ref": "2"}]},
        "other": {"metas": [{"phx_ref": "3"}]},
    }


def test_what_nobody_saw_is_not_told() -> None:
    pending = PendingDiff()
    pending.join(entry("1"))
    pending.leave(entry("1"))
    assert not pending
    pending.leave(entry("2"))
    pending.join(entry("2"))
    assert not pending


def test_what_somebody_saw_is_told() -> None:
    pending = PendingDiff()
    pending.join(entry("1"))
    pending.read = True
    pending.leave(entry("1"))
    diff = pending.diff()
    assert diff["leaves"] == {"k": {"metas": [{"phx_ref": "1"}]}}


@rule("PR-16")
@given(steps=st.lists(st.one_of(st.integers(0, 5), st.sampled_from(["read", "diff"])), max_size=40))
def test_diffs_replay_to_the_view_for_whoever_read_when(steps: list[int | str]) -> None:
    """Each number is a presence that comes, or goes if it is there, with the same ref every time, as those of a node
    that is down for a while do. Each read is a new client."""
    roster, pending, clients = Roster(), PendingDiff(), [PresenceView()]
    there: set[int] = set()
    for step in [*steps, "diff"]:
        if step == "read":
            pending.read = True
            clients.append(PresenceView())
            clients[-1].sync_state(roster.list("t"))
        elif step == "diff":
            diff, pending = pending.diff(), PendingDiff()
            for client in clients:
                client.sync_diff(diff)
                assert by_ref(client.state) == by_ref(roster.list("t"))
        else:
            each = entry(f"{step}", key=f"{int(step) % 2}")
            if step in there:
                there.remove(int(step))
                roster.remove(each)
                pending.leave(each)
            else:
                there.add(int(step))
                roster.add(each)
                pending.join(each)
