"""Diffs and states on their way to the members: merged, in order, enriched, withheld, cut."""

import asyncio
from typing import Any

import pytest

from antiphon.realtime.presence import diffs
from antiphon.realtime.presence.config import PresenceConfig
from antiphon.realtime.presence.presence import Presence
from antiphon.telemetry.metrics import Metrics
from tests.rules import rule
from tests.unit.realtime.presence.client import PresenceView
from tests.unit.realtime.presence.conftest import Members
from tests.unit.realtime.presence.counted import counted
from tests.unit.realtime.presence.weather import settle


def names(view: Any) -> dict[str, Any]:
    return {key: each.get("name") for key, each in view.items()}


@rule("PR-5")
async def test_changes_of_one_tick_are_one_diff_for_each_topic(presence: Presence, members: Members) -> None:
    refs = [presence.track_now(f"{number}", "t", {}) for number in range(3)]
    other = presence.track_now("1", "other", {})
    await settle()
    assert members.refs() == [(refs, []), ([other], [])]


async def test_many_topics_leave_the_loop_time_for_others(
    presence: Presence, members: Members, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(diffs, "_SLICE", 10)
    for number in range(25):
        presence.track_now("1", f"room:{number}", {})
    await asyncio.sleep(0)
    assert len(members.sent) == 10
    await settle()
    assert len(members.sent) == 25


async def test_a_debounce_gathers_for_longer(members: Members, metrics: Metrics) -> None:
    presence = Presence(
        "here", config=PresenceConfig(debounce_seconds=0.05), broadcast=members.broadcast, metrics=metrics
    )
    refs = []
    for number in range(3):
        refs.append(presence.track_now(f"{number}", "t", {}))
        await settle()
    assert members.sent == []
    async with asyncio.timeout(5):
        while not members.sent:
            await asyncio.sleep(0.01)
    assert members.refs() == [(refs, [])]
    await presence.stop()


async def test_topics_without_diffs_have_states_and_callbacks_all_the_same(members: Members, metrics: Metrics) -> None:
    config = PresenceConfig(without_diffs=("stadium:*", "plaza"))
    presence = Presence("here", config=config, broadcast=members.broadcast, metrics=metrics)
    joined: list[str] = []
    presence.on_join(lambda pid, topic, meta: joined.append(topic))
    for topic in ("stadium:1", "plaza", "room:1"):
        await presence.track("7", topic, {})
    await settle()
    assert [topic for topic, _ in members.sent] == ["room:1"]
    assert joined == ["stadium:1", "plaza", "room:1"]
    view = PresenceView()
    presence.push_state("plaza", view.sync_state)
    assert list(view.state) == ["7"]
    assert counted(metrics, "antiphon_presence_diffs_total", result="withheld") == 2
    assert counted(metrics, "antiphon_presence_diffs_total", result="sent") == 1
    await presence.stop()


async def test_a_state_that_is_too_large_is_cut(metrics: Metrics, capsys: pytest.CaptureFixture[str]) -> None:
    presence = Presence("here", config=PresenceConfig(max_state_bytes=1024), metrics=metrics)
    states: list[Any] = []
    for number in range(50):
        await presence.track(f"{number}", "t", {})
        presence.push_state("t", states.append)
    assert 5 < len(states[-1]) < 20
    assert list(states[-1]) == [f"{number}" for number in range(len(states[-1]))]
    assert len(await presence.list("t")) == 50
    assert counted(metrics, "antiphon_presence_states_cut_total") == sum(
        len(state) <= number for number, state in enumerate(states)
    )
    assert capsys.readouterr().err.count("presence.state_cut") == 1
    await presence.stop()


@rule("PR-13")
async def test_the_hook_adds_to_lists_and_to_each_side_of_a_diff(presence: Presence, members: Members) -> None:
    asked: list[tuple[str, list[str]]] = []

    @presence.fetch
    async def add_names(topic: str, presences: Any) -> Any:
        asked.append((topic, list(presences)))
        await asyncio.sleep(0)
        return {key: {"name": key.title(), "metas": []} for key in [*presences, "stranger"]}

    first = presence.track_now("7", "t", {}, "ann")
    presence.track_now("8", "t", {}, "bob")
    await settle()
    [(_, diff)] = members.sent
    assert names(diff["joins"]) == {"ann": "Ann", "bob": "Bob"}
    assert diff["joins"]["ann"]["metas"] == [{"phx_ref": first}], "a hook takes no meta away"
    assert asked == [("t", ["ann", "bob"])], "one call for all, none for an empty side"
    presence.update_now("7", "t", {}, "ann")
    await settle()
    await settle()
    assert names(members.sent[1][1]["leaves"]) == {"ann": "Ann"}
    assert len(asked) == 3
    assert names(await presence.list("t")) == {"bob": "Bob", "ann": "Ann"}
    assert (await presence.get_by_key("t", "bob") or {})["name"] == "Bob"
    assert names(presence.list_now("t")) == {"bob": None, "ann": None}


@rule("PR-13")
async def test_a_slow_hook_delays_only_its_topic_and_nothing_overtakes(presence: Presence, members: Members) -> None:
    gates: dict[str, asyncio.Event] = {"slow": asyncio.Event(), "quick": asyncio.Event()}
    gates["quick"].set()
    calls: list[str] = []

    @presence.fetch
    async def wait(topic: str, presences: Any) -> Any:
        calls.append(topic)
        await gates[topic].wait()
        return presences

    view, late = PresenceView(), PresenceView()
    first = presence.track_now("1", "slow", {}, "ann")
    await settle()
    for number in range(5):
        presence.update_now("1", "slow", {"n": number}, "ann")
        await settle()
    presence.push_state("slow", late.sync_state)
    presence.push_state("slow", view.sync_state)
    await presence.track("1", "quick", {})
    await settle()
    assert [topic for topic, _ in members.sent] == ["quick"]
    assert calls.count("slow") == 1, "what happens meanwhile is gathered"
    gates["slow"].set()
    await settle()
    await settle()
    slow = [diff for topic, diff in members.sent if topic == "slow"]
    assert [list(diff["joins"]["ann"]["metas"][0]) for diff in slow] == [["phx_ref"], ["n", "phx_ref", "phx_ref_prev"]]
    assert slow[1]["leaves"]["ann"]["metas"] == [{"phx_ref": first}]
    assert late.state == view.state == presence.list_now("slow")
    assert presence._diffs._lanes == {}


@rule("PR-13")
@pytest.mark.parametrize("answer", [None, 3, {"ann": {"x": object()}}, {"ann": 5}, RuntimeError("down")])
async def test_a_hook_that_fails_or_answers_nonsense_costs_what_it_adds_only(
    presence: Presence, members: Members, metrics: Metrics, answer: Any
) -> None:
    @presence.fetch
    def broken(topic: str, presences: Any) -> Any:
        if isinstance(answer, Exception):
            raise answer
        return answer

    ref = presence.track_now("7", "t", {}, "ann")
    await settle()
    presence.untrack_now("7", "t", "ann")
    await settle()
    assert members.refs() == [([ref], []), ([], [ref])]
    assert counted(metrics, "antiphon_presence_callbacks_failed_total") == 2


async def test_a_push_that_fails_harms_nobody(presence: Presence, members: Members, metrics: Metrics) -> None:
    @presence.fetch
    async def wait(topic: str, presences: Any) -> Any:
        await asyncio.sleep(0)
        return presences

    def broken(state: Any) -> None:
        raise RuntimeError("gone")

    view = PresenceView()
    ref = presence.track_now("7", "t", {})
    presence.push_state("t", broken)
    presence.push_state("t", view.sync_state)
    await settle()
    await settle()
    assert list(view.state) == ["7"]
    assert members.refs() == [([ref], [])]
    assert counted(metrics, "antiphon_presence_callbacks_failed_total") == 1


async def test_what_the_hook_is_busy_with_at_the_end_is_dropped(presence: Presence, members: Members) -> None:
    @presence.fetch
    async def hang(topic: str, presences: Any) -> Any:
        await asyncio.Event().wait()

    presence.track_now("7", "t", {})
    await settle()
    await presence.stop()
    assert members.sent == []
    assert presence._diffs._lanes == {}
