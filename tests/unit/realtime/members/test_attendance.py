"""Presence as channels use it: what members see, and that nobody stays behind."""

import asyncio
from typing import Any

import pytest

from antiphon.errors import ProcessingError
from antiphon.realtime.channel import Channel
from tests.rules import rule
from tests.unit.realtime.lobby import Lobby


@pytest.fixture
def lobby(live: Any) -> Any:
    live.app.channel("lobby:*")(Lobby)
    return live


async def come(lobby: Any, name: str | None, join_ref: str = "1") -> Any:
    """A member that has seen the state; its own diff is still to come."""
    wire = await lobby.wire(f"vsn=2.0.0&id=user:{name}")
    await wire.send([join_ref, join_ref, "lobby:1", "phx_join", {"name": name} if name else {}])
    assert (await wire.receive())[3] == "phx_reply"
    state = await wire.receive()
    assert state[:4] == [join_ref, None, "lobby:1", "presence_state"]
    wire.state = state[4]
    return wire


async def diff(wire: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    frame = await wire.receive()
    assert frame[:4] == [None, None, "lobby:1", "presence_diff"]
    assert set(frame[4]) == {"joins", "leaves"}
    return frame[4]["joins"], frame[4]["leaves"]


@rule("PR-2", "PR-3", "PR-4", "PR-5", "PR-10")
async def test_the_state_comes_first_and_everybody_hears_of_everybody(lobby: Any) -> None:
    ann = await come(lobby, "ann")
    assert ann.state == {}
    joins, leaves = await diff(ann)
    ((name, found),) = joins.items()
    assert (name, leaves) == ("ann", {})
    assert found["metas"][0]["n"] == 1
    bob = await come(lobby, "bob")
    assert set(bob.state) == {"ann"}
    for wire in (ann, bob):
        joins, leaves = await diff(wire)
        assert (set(joins), leaves) == ({"bob"}, {})


@rule("PR-5", "TK-18", "DC-1", "ER-1", "LV-1", "LV-5")
@pytest.mark.parametrize("end", ["leave", "close", "cut", "crash", "stop", "disconnect", "rejoin"])
async def test_nobody_stays_behind_whatever_the_end(lobby: Any, end: str) -> None:
    watcher = await come(lobby, None)
    wire = await come(lobby, "ann")
    joins, _ = await diff(watcher)
    ref = joins["ann"]["metas"][0]["phx_ref"]
    match end:
        case "leave":
            await wire.send(["1", "2", "lobby:1", "phx_leave", {}])
        case "close":
            await wire.connection.close()
        case "cut":
            wire.connection.transport.abort()
        case "crash":
            await wire.send(["1", "2", "lobby:1", "crash", {}])
        case "stop":
            await wire.send(["1", "2", "lobby:1", "end", {}])
        case "disconnect":
            lobby.app.disconnect("user:ann")
        case "rejoin":
            await wire.send(["2", "2", "lobby:1", "phx_join", {}])
    joins, leaves = await diff(watcher)
    assert joins == {}
    assert [meta["phx_ref"] for meta in leaves["ann"]["metas"]] == [ref]
    assert lobby.app.present == set()
    assert await lobby.app.presence.list("lobby:1") == {}


@rule("PR-6", "PR-8")
async def test_an_update_is_one_diff_that_ties_the_new_to_the_old(lobby: Any) -> None:
    wire = await come(lobby, "ann")
    before = (await diff(wire))[0]["ann"]["metas"][0]
    await wire.send(["1", "2", "lobby:1", "do", {"what": "update", "with": {"meta": {"n": 2}}}])
    frames = {frame[3]: frame[4] for frame in (await wire.receive(), await wire.receive())}
    after = {"n": 2, "phx_ref": frames["phx_reply"]["response"]["ref"], "phx_ref_prev": before["phx_ref"]}
    assert frames["presence_diff"] == {"joins": {"ann": {"metas": [after]}}, "leaves": {"ann": {"metas": [before]}}}


@rule("PR-7", "PR-8")
async def test_several_keys_and_other_topics(lobby: Any) -> None:
    wire = await come(lobby, None)

    async def do(what: str, **arguments: Any) -> Any:
        await wire.send(["1", "2", "lobby:1", "do", {"what": what, "with": arguments}])
        while True:
            frame = await wire.receive()
            if frame[3] in {"phx_reply", "phx_error"}:
                return frame[3], frame[4]

    assert (await do("untrack"))[1]["response"] == {"ref": None}
    for key, topic in (("a", None), ("b", None), ("a", "elsewhere")):
        assert (await do("track", key=key, meta={}, topic=topic))[0] == "phx_reply"
    assert set(await lobby.app.presence.list("elsewhere")) == {"a"}
    assert (await do("update", meta={"x": 1}, key="b"))[0] == "phx_reply"
    assert (await do("untrack", key="b"))[0] == "phx_reply"
    assert (await do("update", meta={"x": 2}))[0] == "phx_reply", "the only key left"
    assert set(await lobby.app.presence.list("lobby:1")) == {"a"}
    assert (await do("track", key="a", meta={}))[0] == "phx_error", "already tracked"
    assert await lobby.app.presence.list("elsewhere") == {}


@rule("PR-8")
@pytest.mark.parametrize("key", [{}, {"key": "x"}])
async def test_an_update_of_nothing_is_an_error(lobby: Any, key: Any) -> None:
    wire = await come(lobby, None)
    await wire.send(["1", "2", "lobby:1", "do", {"what": "update", "with": {"meta": {}, **key}}])
    assert (await wire.receive())[3] == "phx_error"


@rule("PR-19")
async def test_version_1_is_told_the_same(lobby: Any) -> None:
    old = await lobby.wire("")
    await old.connection.send('{"topic":"lobby:1","event":"phx_join","payload":{"name":"ann"},"ref":"1"}')
    frames = [await old.receive() for _ in range(3)]
    assert [frame["event"] for frame in frames] == ["phx_reply", "presence_state", "presence_diff"]
    assert frames[1]["payload"] == {}
    assert set(frames[2]["payload"]["joins"]) == {"ann"}


@rule("PR-2")
async def test_the_state_can_be_asked_for(lobby: Any) -> None:
    wire = await come(lobby, None)
    await lobby.app.presence.track("bot", "lobby:1", {})
    await diff(wire)
    await wire.send(["1", "2", "lobby:1", "do", {"what": "push_presence_state"}])
    assert set((await wire.receive())[4]) == {"bot"}


@rule("DC-1", "TK-18")
@pytest.mark.parametrize("tracked_before", [False, True])
async def test_a_handler_that_outlives_its_channel_shows_nobody(live: Any, tracked_before: bool) -> None:
    waits, go_on, failure = asyncio.Event(), asyncio.Event(), asyncio.get_running_loop().create_future()

    class Slow(Channel):
        async def after_join(self) -> None:
            if tracked_before:
                await self.track("early")
            waits.set()
            await go_on.wait()
            try:
                await self.track("late")
            except ProcessingError as error:
                failure.set_result(str(error))

    live.app.channel("slow")(Slow)
    wire = await live.wire()
    await wire.send(["1", "1", "slow", "phx_join", {}])
    await waits.wait()
    wire.connection.transport.abort()
    async with asyncio.timeout(5):
        while live.app.members("slow"):
            await asyncio.sleep(0.005)
        go_on.set()
        assert "ended" in await failure
    assert live.app.presence.count("slow") == 0
    assert not live.app.present
