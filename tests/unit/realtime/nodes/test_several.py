"""Several nodes on one broker behave as one application."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from antiphon.errors import ValidationError
from antiphon.realtime.brokers.memory import MemoryBroker, MemoryHub
from antiphon.realtime.nodes.cluster import Cluster
from antiphon.realtime.presence.presence import Presence
from antiphon.realtime.pubsub import PubSub
from antiphon.telemetry.metrics import Metrics
from tests.rules import rule
from tests.unit.realtime.lobby import Lobby

Serve = Callable[..., Awaitable[Any]]


@pytest.fixture
async def nodes(serve: Serve) -> list[Any]:
    """Three servers on one hub; presence is told of as soon as it changes."""
    hub, started = MemoryHub(), []
    for number in range(3):
        metrics = Metrics()
        live = await serve(
            tick_seconds=0.02,
            silent_ticks=2,
            down_seconds=0.5,
            application={
                "pubsub": PubSub(metrics=metrics),
                "presence": Presence(metrics=metrics),
                "cluster": Cluster(MemoryBroker(hub), name=f"node{number}", metrics=metrics),
            },
        )
        live.app.channel("lobby:*")(Lobby)
        started.append(live)
    return started


async def members(nodes: list[Any], topic: str = "room:1") -> list[Any]:
    wires = [await node.wire(f"vsn=2.0.0&id=user:{number % 2}") for number, node in enumerate(nodes)]
    for wire in wires:
        await wire.join(topic)
    return wires


@rule("BC-1", "PS-2")
async def test_a_broadcast_reaches_the_members_on_every_node_once(nodes: list[Any]) -> None:
    wires = await members(nodes)
    await wires[0].send(["1", "2", "room:1", "broadcast", {"n": 1}])
    for wire in wires:
        await wire.expect([None, None, "room:1", "message", {"n": 1}])
        await wire.nothing_more()


@rule("BC-2", "BN-11")
async def test_all_but_the_sender_is_all_on_the_other_nodes(nodes: list[Any]) -> None:
    wires = await members(nodes)
    await wires[0].send(["1", "2", "room:1", "broadcast_from", {"n": 1}])
    for wire in wires[1:]:
        await wire.expect([None, None, "room:1", "message", {"n": 1}])
    await wires[0].nothing_more()
    nodes[0].app.broadcast("room:1", "file", b"\x00\xff")
    for wire in wires:
        assert await wire.connection.recv() == b"\x02\x06\x04room:1file\x00\xff"


@rule("BC-9")
async def test_here_is_this_node_alone(nodes: list[Any]) -> None:
    wires = await members(nodes)
    nodes[1].app.broadcast_here("room:1", "here", {})
    await wires[1].expect([None, None, "room:1", "here", {}])
    nodes[1].app.broadcast("room:1", "everywhere", {})
    for wire in wires:
        await wire.expect([None, None, "room:1", "everywhere", {}])


@rule("DC-2")
@pytest.mark.parametrize("by_broadcast", [True, False])
async def test_every_socket_of_a_user_is_closed_on_every_node(nodes: list[Any], by_broadcast: bool) -> None:
    wires = await members(nodes)
    if by_broadcast:
        nodes[1].app.broadcast("user:0", "disconnect", {})
    else:
        assert nodes[1].app.disconnect("user:0") == 0, "none of them is on this node"
    assert [await wires[0].closed(), await wires[2].closed()] == [1001, 1001]
    await wires[1].nothing_more()


@rule("PS-2", "PS-5")
async def test_what_is_published_is_heard_on_every_node_in_order(nodes: list[Any]) -> None:
    heard: list[asyncio.Queue[Any]] = [asyncio.Queue() for _ in nodes]
    for node, queue in zip(nodes, heard, strict=True):
        await node.app.pubsub.subscribe("news:*", lambda *heard, queue=queue: queue.put_nowait(heard))
    for number in range(100):
        assert await nodes[0].app.pubsub.publish("news:a", {"n": number}) == 1
    async with asyncio.timeout(5):
        for queue in heard:
            assert [await queue.get() for _ in range(100)] == [("news:a", {"n": n}) for n in range(100)]


@rule("PS-2")
async def test_what_is_no_json_cannot_go_to_other_nodes(nodes: list[Any]) -> None:
    with pytest.raises(ValidationError, match="JSON"):
        await nodes[0].app.pubsub.publish("news", object())


@rule("TK-7", "PR-11", "TK-18")
async def test_who_is_present_is_seen_on_every_node_until_the_end(nodes: list[Any]) -> None:
    watcher = await nodes[0].wire()
    await watcher.join("lobby:1")
    assert (await watcher.receive())[3:] == ["presence_state", {}]
    wire = await nodes[1].wire()
    await wire.join("lobby:1", {"name": "ann"})
    joined = await watcher.receive()
    assert (joined[3], set(joined[4]["joins"])) == ("presence_diff", {"ann"})
    async with asyncio.timeout(5):
        while not await nodes[2].app.presence.list("lobby:1"):
            await asyncio.sleep(0.005)
    await wire.connection.close()
    left = await watcher.receive()
    assert (left[4]["joins"], set(left[4]["leaves"])) == ({}, {"ann"})


@rule("TK-11", "TK-13")
async def test_a_node_that_is_gone_takes_its_presences_along(nodes: list[Any]) -> None:
    watcher = await nodes[0].wire()
    await watcher.join("lobby:1")
    await watcher.receive()
    wire = await nodes[1].wire()
    await wire.join("lobby:1", {"name": "ann"})
    assert set((await watcher.receive())[4]["joins"]) == {"ann"}
    await nodes[1].app.stop()
    assert set((await watcher.receive())[4]["leaves"]) == {"ann"}
    assert await nodes[0].app.presence.list("lobby:1") == {}
