"""What there is at this moment, on one node and on all of them, page by page."""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from typing import Any, Literal

import msgspec
import pytest

from antiphon.errors import ServiceError
from antiphon.realtime import overview as module
from antiphon.realtime.brokers.memory import MemoryBroker, MemoryHub
from antiphon.realtime.nodes.cluster import Cluster
from antiphon.realtime.presence.presence import Presence
from antiphon.realtime.pubsub import PubSub
from antiphon.telemetry.metrics import Metrics
from tests.nodes import until
from tests.raw_frames import UPGRADE, client_frame

Serve = Callable[..., Awaitable[Any]]
What = Literal["sockets", "channels", "topics", "nodes"]


@pytest.fixture
async def nodes(serve: Serve) -> list[Any]:
    """Three servers on one hub, which have heard of each other."""
    hub, started = MemoryHub(), []
    for number in range(3):
        metrics = Metrics()
        application = {
            "pubsub": PubSub(metrics=metrics),
            "presence": Presence(metrics=metrics),
            "cluster": Cluster(MemoryBroker(hub), name=f"node{number}", metrics=metrics),
        }
        started.append(await serve(application=application))
    await until(lambda: all(len(node.app.cluster.peers()) == 2 for node in started))
    return started


async def everything(node: Any, what: What, *, limit: int, everywhere: bool = True) -> list[Any]:
    """All pages, one behind the other."""
    rows: list[Any] = []
    page = await node.app.overview.page(what, limit=limit, everywhere=everywhere)
    rows += page.rows
    while page.more:
        assert len(page.rows) == limit
        page = await node.app.overview.page(what, after=rows[-1].key, limit=limit, everywhere=everywhere)
        rows += page.rows
    return rows


@pytest.mark.parametrize("limit", [1, 2, 3, 100])
async def test_all_pages_together_are_everything_once(nodes: list[Any], limit: int) -> None:
    for number in range(6):
        wire = await nodes[number % 3].wire(f"vsn=2.0.0&id=user:{number}")
        for topic in ("room:all", f"room:{number % 2}"):
            await wire.join(topic)
    sockets = await everything(nodes[0], "sockets", limit=limit)
    assert [row.id for row in sockets] == [f"user:{number}" for number in range(6)], "the oldest first"
    assert {row.node for row in sockets} == {node.app.cluster.node for node in nodes}
    channels = await everything(nodes[1], "channels", limit=limit)
    assert sorted(row.topic for row in channels) == sorted(["room:all"] * 6 + ["room:0", "room:1"] * 3)
    topics = await everything(nodes[2], "topics", limit=limit)
    assert [(row.key, row.members) for row in topics] == [("room:0", 3), ("room:1", 3), ("room:all", 6)]
    assert [row.sockets for row in await everything(nodes[0], "nodes", limit=limit)] == [2, 2, 2]
    assert len(await everything(nodes[0], "sockets", limit=limit, everywhere=False)) == 2


async def test_a_node_that_does_not_answer_is_named(nodes: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SECONDS", 0.05)
    silent = asyncio.Event()

    async def say_nothing(_: bytes) -> bytes:
        await silent.wait()
        return b""

    nodes[2].app.cluster.on_request(module.OVERVIEW, say_nothing)
    await nodes[1].wire("vsn=2.0.0")
    page = await nodes[0].app.overview.page("sockets", limit=10, everywhere=True)
    assert [row.node for row in page.rows] == [nodes[1].app.cluster.node]
    assert page.missing == [nodes[2].app.cluster.node]
    key = f"{0:016x}-{nodes[2].app.cluster.version}"
    with pytest.raises(ServiceError, match="did not answer"):
        await nodes[0].app.overview.disconnect(key)


@pytest.mark.parametrize("words", [b"\xc1", msgspec.msgpack.encode([{"from": "a newer version"}])])
async def test_a_node_that_cannot_be_understood_is_named_too(nodes: list[Any], words: bytes) -> None:
    async def answer(_: bytes) -> bytes:
        return words

    nodes[2].app.cluster.on_request(module.OVERVIEW, answer)
    await nodes[1].wire("vsn=2.0.0")
    page = await nodes[0].app.overview.page("sockets", limit=10, everywhere=True)
    assert [row.node for row in page.rows] == [nodes[1].app.cluster.node]
    assert page.missing == [nodes[2].app.cluster.node]


async def test_one_socket_is_closed_wherever_it_is(nodes: list[Any]) -> None:
    near, far = await nodes[0].wire("vsn=2.0.0&id=both"), await nodes[1].wire("vsn=2.0.0&id=both")
    rows = await everything(nodes[0], "sockets", limit=10)
    (key,) = [row.key for row in rows if row.node == nodes[1].app.cluster.node]
    assert await nodes[0].app.overview.disconnect(key)
    assert await far.closed() == 1001
    await near.nothing_more()
    await until(lambda: len(nodes[1].app.sockets) == 0)
    assert not await nodes[0].app.overview.disconnect(key)
    assert not await nodes[0].app.overview.disconnect(f"{1:016x}-000000000000"), "a node that is none"


async def test_joins_that_are_not_answered_are_seen_as_such(live: Any) -> None:
    wire = await live.wire("vsn=2.0.0")
    await wire.send(["1", "1", "room:1", "phx_join", {"gate": "in"}])

    async def joining() -> list[Any]:
        return list((await live.app.overview.page("channels", limit=10, everywhere=True)).rows)

    async with asyncio.timeout(5):
        while not (rows := await joining()):
            await asyncio.sleep(0.001)
    assert [(row.topic, row.pattern, row.channel, row.state) for row in rows] == [
        ("room:1", "room:*", "Room", "joining")
    ]
    live.open("in")
    await wire.receive()
    assert [row.state for row in await joining()] == ["joined"]


async def test_a_slow_client_shows_what_waits_for_it(live: Any) -> None:
    loop = asyncio.get_running_loop()
    with socket.socket() as deaf:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.setblocking(False)
        await loop.sock_connect(deaf, ("127.0.0.1", live.app.port))
        await loop.sock_sendall(deaf, UPGRADE.format(target="/socket/websocket?vsn=2.0.0", headers="").encode())
        assert b" 101 " in await loop.sock_recv(deaf, 4096)
        await loop.sock_sendall(deaf, client_frame(0x81, b'["1","1","room:1","phx_join",{}]'))
        await until(lambda: live.app.members("room:1") == 1)
        async with asyncio.timeout(5):
            while True:
                live.app.broadcast("room:1", "more", {"text": "x" * 50_000})
                await asyncio.sleep(0)
                (row,) = (await live.app.overview.page("sockets", limit=1, everywhere=False)).rows
                if row.blocked and row.queued_bytes:
                    return


async def test_nonsense_from_another_node_is_refused(live: Any) -> None:
    with pytest.raises(msgspec.DecodeError):
        await live.app.overview.answer(b"\xc1")
