"""`Presence`, as applications and channels use it."""

import asyncio
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import msgspec
import pytest

from antiphon.errors import NotFoundError, ServiceError, ValidationError
from antiphon.realtime.presence.config import PresenceConfig
from antiphon.realtime.presence.presence import Presence, adopt, get_presence, release
from antiphon.runtime.clock import ManualClock
from antiphon.telemetry.metrics import Metrics
from tests.rules import rule
from tests.unit.realtime.presence.client import PresenceView
from tests.unit.realtime.presence.conftest import Members
from tests.unit.realtime.presence.counted import counted
from tests.unit.realtime.presence.weather import settle


@rule("PR-1", "PR-5", "PR-18")
async def test_track_shows_and_untrack_hides(presence: Presence, members: Members) -> None:
    ref = await presence.track("7", "room:1", {"on": 1}, key="ann")
    await settle()
    assert await presence.list("room:1") == {"ann": {"metas": [{"on": 1, "phx_ref": ref}]}}
    await presence.untrack("7", "room:1", key="ann")
    assert await presence.list("room:1") == {}
    await settle()
    entry = {"ann": {"metas": [{"on": 1, "phx_ref": ref}]}}
    assert members.sent == [
        ("room:1", {"joins": entry, "leaves": {}}),
        ("room:1", {"joins": {}, "leaves": entry}),
    ]


@rule("PR-1")
async def test_the_key_is_the_pid_unless_given_and_always_a_string(presence: Presence) -> None:
    await presence.track("user123", "room:lobby", {"username": "Alice"})
    await presence.track("9", "room:lobby", {}, key=42)  # type: ignore[arg-type]
    await presence.track(5, "room:lobby", {})  # type: ignore[arg-type]
    assert list(await presence.list("room:lobby")) == ["user123", "42", "5"]
    await presence.untrack(5, "room:lobby")  # type: ignore[arg-type]
    assert list(await presence.list("room:lobby")) == ["user123", "42"]


@rule("PR-6")
async def test_an_update_is_one_diff_with_both_metas(presence: Presence, members: Members) -> None:
    first = await presence.track("7", "room:1", {"on": 1}, key="bob")
    await settle()
    second = await presence.update("7", "room:1", {"on": 2}, key="bob")
    await settle()
    third = await presence.update("7", "room:1", lambda meta: {**meta, "on": meta["on"] + 1}, key="bob")
    await settle()
    metas = [
        {"on": 1, "phx_ref": first},
        {"on": 2, "phx_ref": second, "phx_ref_prev": first},
        {"on": 3, "phx_ref": third, "phx_ref_prev": second},
    ]
    assert [diff for _, diff in members.sent[1:]] == [
        {"joins": {"bob": {"metas": [after]}}, "leaves": {"bob": {"metas": [before]}}}
        for before, after in pairwise(metas)
    ]
    assert await presence.list("room:1") == {"bob": {"metas": [metas[2]]}}


@rule("PR-7")
async def test_many_connections_of_one_key_and_many_keys_of_one_connection(presence: Presence) -> None:
    await presence.track("7", "room:1", {}, key="ann")
    await presence.track("8", "room:1", {}, key="ann")
    await presence.track("7", "room:1", {}, key="typing")
    await presence.track("7", "room:2", {}, key="ann")
    assert {key: len(each["metas"]) for key, each in (await presence.list("room:1")).items()} == {"ann": 2, "typing": 1}
    with pytest.raises(ValidationError, match="already tracked"):
        await presence.track("7", "room:1", {}, key="ann")
    assert (presence.count("room:1"), presence.topics()) == (3, ["room:1", "room:2"])


@rule("PR-8")
async def test_what_is_not_tracked_can_be_untracked_but_not_updated(presence: Presence, members: Members) -> None:
    await presence.untrack("7", "room:1")
    with pytest.raises(NotFoundError, match="no presence"):
        await presence.update("7", "room:1", {})
    await presence.track("7", "room:1", {})
    await presence.untrack("7", "room:1")
    with pytest.raises(NotFoundError, match="no presence"):
        await presence.update("7", "room:1", {})
    await settle()
    assert members.sent == [], "what came and went within one tick is not told"
    assert presence._mine == {}


async def test_an_update_that_fails_changes_nothing(presence: Presence) -> None:
    ref = await presence.track("7", "room:1", {"n": 1})

    def fail(meta: dict[str, Any]) -> dict[str, Any]:
        meta["n"] = 2
        raise RuntimeError("no")

    with pytest.raises(RuntimeError):
        await presence.update("7", "room:1", fail)
    with pytest.raises(ValidationError):
        await presence.update("7", "room:1", {"n": object()})
    assert await presence.list("room:1") == {"7": {"metas": [{"n": 1, "phx_ref": ref}]}}


@rule("PR-5", "TK-18")
async def test_the_end_of_a_connection_hides_it_everywhere(presence: Presence, members: Members) -> None:
    for topic, key in (("room:1", "ann"), ("room:1", "typing"), ("room:2", "ann")):
        await presence.track("7", topic, {}, key=key)
    stays = await presence.track("8", "room:1", {}, key="ann")
    await settle()
    members.sent.clear()
    assert await presence.untrack_all("7") == 3
    assert await presence.untrack_all("7") == 0
    await settle()
    assert [(topic, sorted(diff["leaves"])) for topic, diff in members.sent] == [
        ("room:1", ["ann", "typing"]),
        ("room:2", ["ann"]),
    ]
    assert (await presence.list("room:1"))["ann"]["metas"] == [{"phx_ref": stays}]


@rule("PR-15")
async def test_get_by_key_is_the_one_entry_or_nothing(presence: Presence) -> None:
    ref = await presence.track("7", "room:1", {"n": 1}, key="ann")
    assert await presence.get_by_key("room:1", "ann") == {"metas": [{"n": 1, "phx_ref": ref}]}
    assert await presence.get_by_key("room:1", "bob") is None
    assert await presence.get_by_key("room:2", "ann") is None


@rule("PR-2", "PR-3", "PR-10")
async def test_a_state_before_or_after_the_diffs_gives_the_same_view(presence: Presence) -> None:
    seen = PresenceView()
    presence.push_state("room:1", seen.sync_state)
    assert seen.state == {}, "an empty room is {}"
    presence.attach("here", broadcast=lambda topic, event, diff: seen.sync_diff(diff))
    await presence.track("7", "room:1", {"n": 1}, key="ann")
    presence.push_state("room:1", seen.sync_state)
    assert list(seen.state) == ["ann"]
    presence.untrack_now("7", "room:1", key="ann")
    await presence.track("8", "room:1", {"n": 1}, key="bob")
    await settle()
    assert seen.state == await presence.list("room:1")


@rule("PR-17")
@pytest.mark.parametrize("key", ["__proto__", "constructor", "", "metas", "a/b c", "ключ", "__class__"])
async def test_any_text_is_a_key(presence: Presence, members: Members, key: str) -> None:
    ref = await presence.track("7", key, {"__proto__": 1}, key=key)
    await settle()
    assert members.sent == [(key, {"joins": {key: {"metas": [{"__proto__": 1, "phx_ref": ref}]}}, "leaves": {}})]
    assert (await presence.get_by_key(key, key)) == {"metas": [{"__proto__": 1, "phx_ref": ref}]}


async def test_a_topic_has_a_limit(members: Members, metrics: Metrics, capsys: pytest.CaptureFixture[str]) -> None:
    config = PresenceConfig(max_entries=2, max_meta_bytes=200)
    presence = Presence("here", config=config, broadcast=members.broadcast, metrics=metrics)
    await presence.track("1", "t", {})
    await presence.track("2", "t", {})
    for _ in range(3):
        with pytest.raises(ServiceError, match="too many presences"):
            await presence.track("3", "t", {})
    await presence.track("3", "other", {})
    with pytest.raises(ValidationError, match="too large"):
        await presence.track("4", "other", {"text": "x" * 200})
    with pytest.raises(ValidationError, match="too large"):
        await presence.update("3", "other", {"text": "x" * 200})
    await presence.untrack("1", "t")
    await presence.track("3", "t", {})
    assert counted(metrics, "antiphon_presence_refused_total", reason="entries") == 3
    assert counted(metrics, "antiphon_presence_refused_total", reason="meta") == 2
    said = capsys.readouterr().err
    assert (said.count("presence.topic_full"), said.count("presence.meta_too_large")) == (1, 1)
    assert counted(metrics, "antiphon_presence_entries") == 3
    await presence.stop()


# Several nodes


class Cluster:
    """Nodes that hear each other at once, on a clock that moves when told."""

    def __init__(self, **config: Any) -> None:
        self.clock = ManualClock()
        self.metrics = Metrics()
        self.config = PresenceConfig(**config)
        self.nodes: dict[str, Presence] = {}
        self.members: dict[str, Members] = {}

    async def start(self, name: str, is_alive: Callable[[str], bool] | None = None) -> Presence:
        def publish(body: bytes) -> None:
            for other in list(self.nodes):
                if other != name:
                    send(other, body)

        def send(target: str, body: bytes) -> None:
            if target in self.nodes:
                asyncio.get_running_loop().call_soon(self.nodes[target].receive, body)

        members = self.members[name] = Members()
        presence = self.nodes[name] = Presence(clock=self.clock, metrics=self.metrics)
        presence.attach(
            name, config=self.config, publish=publish, send=send, broadcast=members.broadcast, is_alive=is_alive
        )
        await presence.start()
        await presence.start()
        return presence

    async def pass_by(self, seconds: float) -> None:
        for _ in range(int(seconds / 0.5)):
            await self.clock.advance(0.5)
            await settle()

    async def stop(self) -> None:
        for presence in self.nodes.values():
            await presence.stop()


@rule("PR-11", "TK-7")
async def test_nodes_tell_their_own_members_what_the_others_track() -> None:
    cluster = Cluster()
    one, other = await cluster.start("one"), await cluster.start("other")
    await cluster.pass_by(3)
    ref = await one.track("7", "room:1", {"n": 1}, key="ann")
    await settle()
    assert (len(cluster.members["one"].sent), len(cluster.members["other"].sent)) == (1, 0)
    await cluster.pass_by(2)
    assert await other.list("room:1") == {"ann": {"metas": [{"n": 1, "phx_ref": ref}]}}
    assert cluster.members["other"].sent == cluster.members["one"].sent
    assert one.nodes() == [("other", True, 0)]
    assert other.nodes() == [("one", True, 1)]
    with pytest.raises(ServiceError, match="running"):
        one.attach("elsewhere")
    await cluster.stop()


@rule("TK-5")
async def test_an_update_elsewhere_is_one_diff_here() -> None:
    cluster = Cluster()
    one, _ = await cluster.start("one"), await cluster.start("other")
    await cluster.pass_by(3)
    first = await one.track("7", "room:1", {}, key="ann")
    await cluster.pass_by(2)
    cluster.members["other"].sent.clear()
    await one.update("7", "room:1", {}, key="ann")
    last = await one.update("7", "room:1", {}, key="ann")
    await cluster.pass_by(2)
    assert cluster.members["other"].refs() == [([last], [first])]
    await cluster.stop()


@rule("TK-13")
@pytest.mark.parametrize("at_once", [True, False])
async def test_a_node_that_leaves_goes_on_alone_and_fades_or_vanishes_elsewhere(at_once: bool) -> None:
    cluster = Cluster(permdown_on_shutdown=at_once)
    one, other = await cluster.start("one"), await cluster.start("other")
    mine = await one.track("7", "room:1", {}, key="ann")
    await other.track("8", "room:1", {}, key="bob")
    await cluster.pass_by(6)
    assert list(await one.list("room:1")) == ["ann", "bob"]
    await one.leave()
    await cluster.pass_by(2)
    assert await one.list("room:1") == {"ann": {"metas": [{"phx_ref": mine}]}}
    assert ("ann" in await other.list("room:1")) is not at_once
    await one.untrack_all("7")
    await cluster.pass_by(33)
    assert list(await other.list("room:1")) == ["bob"]
    await one.start()
    await cluster.pass_by(4)
    assert list(await one.list("room:1")) == ["bob"], "it may come back: as another replica"
    await cluster.stop()


@rule("TK-1")
async def test_what_was_tracked_before_the_start_is_told_after_it() -> None:
    cluster = Cluster()
    other = await cluster.start("other")
    await cluster.pass_by(3)
    early = Presence(clock=cluster.clock, metrics=cluster.metrics)
    ref = await early.track("7", "room:1", {}, key="ann")
    cluster.nodes["early"] = early
    early.attach("early", publish=other.receive, send=lambda _, body: other.receive(body))
    await early.start()
    await cluster.pass_by(3)
    assert await other.list("room:1") == {"ann": {"metas": [{"phx_ref": ref}]}}
    await early.update("7", "room:1", {}, key="ann")
    assert await early.untrack_all("7") == 1
    await cluster.pass_by(3)
    assert await other.list("room:1") == {}
    await cluster.stop()


@rule("TK-18")
async def test_presences_of_connections_that_are_gone_are_found_and_removed() -> None:
    cluster = Cluster(cleanup_interval=60)
    alive = {"7", "8"}
    presence = await cluster.start("one", is_alive=alive.__contains__)
    await presence.track("7", "room:1", {})
    await presence.track("8", "room:1", {})
    alive.remove("7")
    await cluster.pass_by(50)
    assert list(await presence.list("room:1")) == ["7", "8"]
    await cluster.pass_by(15)
    assert list(await presence.list("room:1")) == ["8"]
    assert counted(cluster.metrics, "antiphon_presence_ghosts_total") == 1
    await cluster.stop()


async def test_hostile_bodies_are_dropped_and_a_gap_is_announced() -> None:
    cluster = Cluster()
    presence = await cluster.start("one")
    for body in (b"", b"\x00", b"[]", msgspec.msgpack.encode(["transfer", ["x", "1"], [[["x", "1"], [1], {}]]])):
        presence.receive(body)
    assert counted(cluster.metrics, "antiphon_presence_ignored_total", reason="garbled") == 4
    said: list[bytes] = []
    await presence.leave()
    presence.receive(b"\x00")
    assert counted(cluster.metrics, "antiphon_presence_ignored_total", reason="garbled") == 4, "it is stopped"
    presence.attach("one", publish=said.append)
    await presence.start()
    await cluster.pass_by(3)
    assert len(said) == 1
    presence.announce()
    await cluster.pass_by(2)
    assert len(said) == 2
    await cluster.stop()


@rule("TK-19")
async def test_ten_thousand_presences_hold_up_nobody(presence: Presence) -> None:
    """phoenix_pubsub #71: one process served all topics, one after the other, and callers ran into time limits."""
    for number in range(10_000):
        presence.track_now(f"{number}", f"room:{number % 100}", {"n": number})
    ticks = 0
    while presence._diffs._pending:
        await asyncio.sleep(0)
        ticks += 1
    assert ticks < 10
    began = asyncio.get_running_loop().time()
    assert len(presence.list_now("room:7")) == 100
    assert asyncio.get_running_loop().time() - began < 0.05, "reading a topic costs what is in it"


# The getter


async def test_the_default_works_before_any_application_and_is_adopted() -> None:
    default = get_presence()
    assert get_presence() is default
    ref = await default.track("7", "room:default", {})
    assert await default.list("room:default") == {"7": {"metas": [{"phx_ref": ref}]}}
    assert adopt() is default
    second = adopt()
    assert second is not default
    assert get_presence() is default
    release(default)
    mine = Presence("mine", metrics=Metrics())
    assert adopt(mine) is mine
    assert get_presence() is mine
    release(mine)
    assert await default.untrack_all("7") == 1
    await default.stop()


def test_the_default_survives_the_loops_it_was_used_on() -> None:
    presence = Presence("here", metrics=Metrics())
    joined: list[str] = []
    presence.on_join(lambda pid, topic, meta: joined.append(pid))

    @presence.fetch
    async def fetch(topic: str, presences: Any) -> Any:
        await asyncio.sleep(0)
        return presences

    async def track(pid: str, *, stop: bool) -> None:
        await presence.track(pid, "room:1", {})
        if stop:
            await settle()
            await presence.stop()

    asyncio.run(track("1", stop=False))
    asyncio.run(track("2", stop=True))
    asyncio.run(track("3", stop=True))
    assert joined == ["1", "2", "3"]
