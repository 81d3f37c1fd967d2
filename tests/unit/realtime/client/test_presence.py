"""The view of who is there, against the algorithm of phoenix.js and against a server's own book."""

import asyncio
import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.realtime.client.presence import ClientPresence, PresenceMap, sync_diff, sync_state
from tests.rules import rule


def entry(*refs: str, **meta: Any) -> dict[str, Any]:
    return {"metas": [{"phx_ref": ref, **meta} for ref in refs]}


def refs(state: PresenceMap) -> dict[str, set[str]]:
    return {key: {meta["phx_ref"] for meta in held["metas"]} for key, held in state.items()}


@rule("PR-16")
def test_a_new_state_tells_only_what_differs() -> None:
    before = {"ann": entry("1"), "bob": entry("2", "3"), "cid": entry("4")}
    kept = copy.deepcopy(before)
    change = sync_state(before, {"bob": entry("3", "5"), "cid": entry("4"), "dan": entry("6")})
    assert refs(change.state) == {"bob": {"3", "5"}, "cid": {"4"}, "dan": {"6"}}
    assert [(key, current, new["metas"]) for key, current, new in change.joined] == [
        ("bob", kept["bob"], [{"phx_ref": "5"}]),
        ("dan", None, [{"phx_ref": "6"}]),
    ]
    assert [(key, refs({key: left})[key]) for key, _, left in change.left] == [("ann", {"1"}), ("bob", {"2"})]
    assert before == kept


@rule("PR-16")
def test_metas_that_were_there_stand_before_those_that_join() -> None:
    state = sync_diff({"ann": entry("1")}, {"joins": {"ann": entry("2")}, "leaves": {}}).state
    assert [meta["phx_ref"] for meta in state["ann"]["metas"]] == ["1", "2"]


@rule("PR-6", "PR-16")
def test_an_update_is_a_join_and_a_leave_of_one_key() -> None:
    joined = {"ann": {"metas": [{"phx_ref": "2", "phx_ref_prev": "1", "on": 2}]}}
    change = sync_diff({"ann": entry("1", on=1)}, {"joins": joined, "leaves": {"ann": entry("1", on=1)}})
    assert change.state == joined
    assert [key for key, *_ in change.joined] == [key for key, *_ in change.left] == ["ann"]


@rule("PR-16")
def test_leaves_of_nobody_are_passed_over() -> None:
    change = sync_diff({"ann": entry("1")}, {"joins": {}, "leaves": {"bob": entry("9"), "ann": entry("8")}})
    assert change.state == {"ann": entry("1")}
    assert change.left == []


@rule("PR-10")
def test_what_is_known_is_not_told_again() -> None:
    change = sync_diff({"ann": entry("1")}, {"joins": {"ann": entry("1", "2"), "bob": entry("3")}, "leaves": {}})
    assert change.joined == [("ann", entry("1"), entry("2")), ("bob", None, entry("3"))]
    again = sync_diff(change.state, {"joins": {"ann": entry("1"), "bob": entry("3")}, "leaves": {}})
    assert (again.joined, again.left) == ([], [])
    assert refs(again.state) == refs(change.state)


@rule("PR-17")
@pytest.mark.parametrize("key", ["__proto__", "constructor", "__class__", "", "metas", "é🎵"])
def test_any_text_is_a_key(key: str) -> None:
    state = sync_state({}, {key: entry("1")}).state
    assert refs(state) == {key: {"1"}}
    assert sync_diff(state, {"joins": {}, "leaves": {key: entry("1")}}).state == {}


BOOKS = st.dictionaries(
    st.sampled_from(["ann", "bob", "cid", "__proto__"]),
    st.lists(st.sampled_from("123456789"), min_size=1, max_size=4, unique=True).map(lambda found: entry(*found)),
)


@given(BOOKS, BOOKS)
@rule("PR-16")
def test_from_any_view_to_any_other(before: PresenceMap, after: PresenceMap) -> None:
    """A new state ends at that state, and what is told of it, played as a diff, leads there too."""
    change = sync_state(before, after)
    assert refs(change.state) == refs(after)
    diff = {"joins": {key: new for key, _, new in change.joined}, "leaves": {key: left for key, _, left in change.left}}
    assert refs(sync_diff(before, diff).state) == refs(after)
    assert sync_state(change.state, after).joined == sync_state(change.state, after).left == []


class Followed:
    """A channel of a real server whose presence events the test sends itself."""

    def __init__(self, live: Any, channel: Any) -> None:
        self.live = live
        self.channel = channel
        self.presence = ClientPresence(channel)
        self.told: list[Any] = []
        self.presence.on_join = lambda key, before, new: self.told.append(("join", key, before is not None))
        self.presence.on_leave = lambda key, rest, left: self.told.append(("leave", key, len(rest["metas"])))
        self.presence.on_sync = lambda: self.told.append("sync")

    async def say(self, event: str, payload: Any) -> None:
        """Sends to the topic, and returns when it has arrived."""
        self.live.app.broadcast(self.channel.topic, event, payload)
        await self.channel.push("echo", {})
        await asyncio.sleep(0)


@pytest.fixture
async def followed(live: Any, client_of: Any) -> Followed:
    client = await client_of(live, params={"id": "ann"})
    made = Followed(live, client.channel("room:1"))
    await made.channel.join()
    return made


@rule("PR-2", "JS-11")
async def test_diffs_wait_for_the_state(followed: Followed) -> None:
    await followed.say("presence_diff", {"joins": {"bob": entry("2")}, "leaves": {}})
    assert followed.presence.list() == followed.told == []
    await followed.say("presence_state", {"ann": entry("1")})
    assert refs(followed.presence.state) == {"ann": {"1"}, "bob": {"2"}}
    assert followed.told == [("join", "ann", False), ("join", "bob", False), "sync"]
    await followed.say("presence_diff", {"joins": {"ann": entry("3")}, "leaves": {"bob": entry("2")}})
    assert followed.told[3:] == [("join", "ann", True), ("leave", "bob", 0), "sync"]
    assert followed.presence.list(lambda key, held: (key, len(held["metas"]))) == [("ann", 2)]


@rule("PR-2", "JS-11")
async def test_after_a_break_only_what_changed_meanwhile_is_told(followed: Followed, until: Any) -> None:
    await followed.say("presence_state", {"ann": entry("1"), "bob": entry("2")})
    followed.told.clear()
    before = followed.channel.join_ref
    followed.live.app.disconnect("ann")
    await until(lambda: followed.channel.joined and followed.channel.join_ref != before)
    await followed.say("presence_diff", {"joins": {"cid": entry("3")}, "leaves": {"ann": entry("1")}})
    assert followed.told == []
    await followed.say("presence_state", {"ann": entry("1"), "dan": entry("4")})
    assert refs(followed.presence.state) == {"cid": {"3"}, "dan": {"4"}}
    assert followed.told == [
        ("join", "dan", False), ("leave", "bob", 0), ("join", "cid", False), ("leave", "ann", 0), "sync",
    ]  # fmt: skip


@rule("PR-2", "JS-11")
async def test_a_diff_of_a_join_that_was_never_told_its_state_is_not_of_the_next(
    followed: Followed, until: Any
) -> None:
    await followed.say("presence_diff", {"joins": {"ghost": entry("9")}, "leaves": {}})
    before = followed.channel.join_ref
    followed.live.app.disconnect("ann")
    await until(lambda: followed.channel.joined and followed.channel.join_ref != before)
    await followed.say("presence_state", {"ann": entry("1")})
    assert refs(followed.presence.state) == {"ann": {"1"}}


async def test_diffs_without_a_state_do_not_pile_up(followed: Followed) -> None:
    for number in range(1200):
        followed.presence._take_diff("presence_diff", {"joins": {f"k{number}": entry(str(number))}, "leaves": {}})
    await followed.say("presence_state", {})
    assert set(followed.presence.state) == {f"k{number}" for number in range(200, 1200)}


@rule("PR-4")
async def test_nonsense_is_reported_and_leaves_the_view_as_it_is(followed: Followed) -> None:
    reports: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: reports.append(context["exception"]))
    await followed.say("presence_state", {"ann": entry("1")})
    wrong: list[Any] = [{"joins": {"bob": {}}, "leaves": {}}, {"joins": {"bob": entry("2")}}, {"joins": 1}]
    for nonsense in wrong:
        await followed.say("presence_diff", nonsense)
    await followed.say("presence_state", {"bob": {"metas": [{}]}})
    asyncio.get_running_loop().set_exception_handler(None)
    assert len(reports) == 4
    assert refs(followed.presence.state) == {"ann": {"1"}}
