"""Callbacks of the application: who came, who left, and whole diffs."""

import asyncio
from typing import Any

import pytest

from antiphon.realtime.presence import callbacks
from antiphon.realtime.presence.config import PresenceConfig
from antiphon.realtime.presence.presence import Presence
from antiphon.telemetry.metrics import Metrics
from tests.rules import rule
from tests.unit.realtime.presence.counted import counted
from tests.unit.realtime.presence.weather import settle

Seen = list[tuple[Any, ...]]


async def test_on_join_and_on_leave_are_told_pid_topic_and_meta(presence: Presence) -> None:
    seen: Seen = []

    @presence.on_join
    async def joined(pid: str, topic: str, meta: dict[str, Any]) -> None:
        await asyncio.sleep(0)
        seen.append(("join", pid, topic, meta["username"]))

    @presence.on_leave
    def left(pid: str, topic: str, meta: dict[str, Any]) -> None:
        seen.append(("leave", pid, topic, meta["username"]))

    await presence.track(pid="user123", topic="room:lobby", meta={"username": "Alice"})
    await presence.update("user123", "room:lobby", {"username": "Bob"})
    await presence.untrack_all("user123")
    assert seen == [], "one that waits holds up those behind it, and nobody else"
    await presence.stop()
    assert seen == [("join", "user123", "room:lobby", "Alice"), ("leave", "user123", "room:lobby", "Bob")]


async def test_callbacks_run_one_after_the_other_and_one_that_raises_harms_nobody(
    presence: Presence, metrics: Metrics
) -> None:
    seen: Seen = []
    gate = asyncio.Event()

    @presence.on_join
    async def slow(pid: str, topic: str, meta: dict[str, Any]) -> None:
        await gate.wait()
        seen.append(("slow", pid))

    @presence.on_join
    async def broken(pid: str, topic: str, meta: dict[str, Any]) -> None:
        meta.clear()
        raise RuntimeError("broken")

    @presence.on_join
    def quick(pid: str, topic: str, meta: dict[str, Any]) -> None:
        seen.append(("quick", pid, meta["n"]))

    await presence.track("1", "t", {"n": 1})
    await presence.track("2", "t", {"n": 2})
    await settle()
    assert seen == []
    gate.set()
    await presence.stop()
    assert seen == [("slow", "1"), ("quick", "1", 1), ("slow", "2"), ("quick", "2", 2)]
    assert counted(metrics, "antiphon_presence_callbacks_failed_total") == 2
    assert "broken" not in str(await presence.list("t"))


async def test_too_many_calls_drop_the_oldest_and_say_so_once(metrics: Metrics, logged: list[Any]) -> None:
    presence = Presence("here", config=PresenceConfig(backlog=3), metrics=metrics)
    seen: list[str] = []
    gate = asyncio.Event()

    @presence.on_join
    async def slow(pid: str, topic: str, meta: dict[str, Any]) -> None:
        await gate.wait()
        seen.append(pid)

    for number in range(10):
        await presence.track(f"{number}", "t", {})
    gate.set()
    await presence.stop()
    assert seen == ["0", "7", "8", "9"]
    assert counted(metrics, "antiphon_presence_callbacks_dropped_total") == 6
    assert [line["event"] for line in logged] == ["presence.callbacks_dropped"]


async def test_what_waits_for_nothing_has_run_when_track_returns(presence: Presence) -> None:
    seen: list[str] = []

    @presence.on_join
    async def joined(pid: str, topic: str, meta: dict[str, Any]) -> None:
        seen.append(pid)

    await presence.track("7", "t", {})
    assert seen == ["7"]


async def test_many_calls_leave_the_loop_time_for_others(presence: Presence, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(callbacks, "_SLICE", 10)
    await asyncio.sleep(0)
    presence._callbacks._renew()
    seen: list[str] = []
    presence.on_join(lambda pid, topic, meta: seen.append(pid))
    for number in range(25):
        presence.track_now(f"{number}", "t", {})
    assert len(seen) == 10
    await asyncio.sleep(0)
    assert len(seen) == 20
    await asyncio.sleep(0)
    assert len(seen) == 25


async def test_a_callback_that_hangs_does_not_hold_up_the_stop(
    presence: Presence, monkeypatch: pytest.MonkeyPatch, metrics: Metrics
) -> None:
    monkeypatch.setattr(callbacks, "_FINISH_SECONDS", 0.05)
    ended: list[str] = []

    @presence.on_join
    async def hang(pid: str, topic: str, meta: dict[str, Any]) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(pid)

    await presence.track("1", "t", {})
    await presence.track("2", "t", {})
    await settle()
    await presence.stop()
    assert ended == ["1"]
    assert counted(metrics, "antiphon_presence_callbacks_failed_total") == 0


async def test_a_callback_may_track_itself(presence: Presence) -> None:
    @presence.on_join
    async def follow(pid: str, topic: str, meta: dict[str, Any]) -> None:
        if topic == "room:1":
            await presence.track(pid, "room:2", {})

    await presence.track("7", "room:1", {})
    await settle()
    assert list(await presence.list("room:2")) == ["7"]


@rule("PR-14")
async def test_a_listener_is_told_topic_diff_presences_and_its_own_state(presence: Presence) -> None:
    """The cases of upstream: a new topic, another presence, another meta, one of many metas less, an empty topic."""
    seen: Seen = []

    async def listen(topic: str, diff: Any, presences: Any, state: int) -> int:
        await asyncio.sleep(0)
        counts = [{key: len(each["metas"]) for key, each in part.items()} for part in (*diff.values(), presences)]
        seen.append((state, topic, *counts))
        return state + 1

    assert presence.listen(listen, 1) is listen
    for change, pid, key in (("track", "1", "ann"), ("track", "2", "bob"), ("track", "3", "ann")):
        await getattr(presence, change)(pid, "t", {}, key)
        await settle()
    for pid, key in (("1", "ann"), ("2", "bob"), ("3", "ann")):
        await presence.untrack(pid, "t", key)
        await settle()
    assert seen == [
        (1, "t", {"ann": 1}, {}, {"ann": 1}),
        (2, "t", {"bob": 1}, {}, {"ann": 1, "bob": 1}),
        (3, "t", {"ann": 1}, {}, {"ann": 2, "bob": 1}),
        (4, "t", {}, {"ann": 1}, {"ann": 1, "bob": 1}),
        (5, "t", {}, {"bob": 1}, {"ann": 1}),
        (6, "t", {}, {"ann": 1}, {}),
    ]


@rule("PR-14")
async def test_a_listener_that_raises_keeps_its_state(presence: Presence, metrics: Metrics) -> None:
    states: list[Any] = []

    @presence.listen
    def listen(topic: str, diff: Any, presences: Any, state: Any) -> Any:
        states.append(state)
        if len(states) == 2:
            raise RuntimeError("once")
        return len(states)

    for number in range(3):
        await presence.track(f"{number}", "t", {})
        await settle()
    assert states == [None, 1, 1]
    assert counted(metrics, "antiphon_presence_callbacks_failed_total") == 1
