"""Long-poll on several nodes: a client may reach any of them with every request."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import aiohttp
import msgspec
import pytest

from antiphon.realtime.brokers.base import Broker, open_broker
from antiphon.realtime.brokers.config import ClusterSettings
from antiphon.realtime.brokers.memory import MemoryBroker, MemoryHub
from antiphon.realtime.nodes.cluster import Cluster
from antiphon.realtime.pubsub import PubSub
from antiphon.realtime.transports.longpoll import SessionAsked
from antiphon.telemetry.metrics import Metrics
from tests.nodes import until
from tests.rules import rule
from tests.unit.realtime.transports.polling import Poller

SECRET = "what both nodes know and nobody else does"
Node = Callable[..., Awaitable[Any]]


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


@pytest.fixture
def node(serve: Any) -> Node:
    """Starts a server that is one of several."""

    async def start(name: str, broker: Broker, **settings: Any) -> Any:
        metrics = Metrics()
        parts = {
            "pubsub": PubSub(metrics=metrics),
            "cluster": Cluster(broker, name=name, metrics=metrics),
        }
        settings = {"longpoll": True, "longpoll_window": 0.5, "secret": SECRET, **settings}
        return await serve(application=parts, **settings)

    return start


@pytest.fixture(params=["memory", "redis"])
async def pair(request: pytest.FixtureRequest, node: Node) -> list[Any]:
    """Two servers that know each other."""
    if request.param == "memory":
        hub = MemoryHub()
        brokers: list[Broker] = [MemoryBroker(hub), MemoryBroker(hub)]
    else:
        settings = ClusterSettings(url=request.getfixturevalue("redis").url)
        brokers = [open_broker(settings), open_broker(settings)]
    found = [await node(f"node{number}", broker) for number, broker in enumerate(brokers)]
    await acquainted(*found)
    return found


async def acquainted(*nodes: Any) -> None:
    await until(lambda: all(len(each.app.cluster.peers()) == len(nodes) - 1 for each in nodes))


class Wanderer(Poller):
    """Goes to another node with every request."""

    def __init__(self, http: aiohttp.ClientSession, *nodes: Any) -> None:
        self.nodes = [f"http://127.0.0.1:{node.app.port}/socket/longpoll" for node in nodes]
        super().__init__(http, self.nodes[0])

    async def said(self, method: str, query: str | None = None, body: bytes | None = None, **headers: str) -> Any:
        answer = await super().said(method, query, body, **headers)
        self.url = self.nodes[(self.nodes.index(self.url) + 1) % len(self.nodes)]
        return answer


@rule("LP-14", "LP-5", "LP-6", "LP-16")
async def test_a_client_may_wander_between_the_nodes(http: aiohttp.ClientSession, pair: list[Any]) -> None:
    client = await Wanderer(http, *pair).open()
    assert await client.post(["1", "1", "room:1", "phx_join", {}]) == 200
    assert (await client.frames(1))[0][3] == "phx_reply"
    for number in range(6):
        assert await client.post(["1", str(number), "room:1", "echo", {"n": number}]) == 200
    assert [frame[4]["response"]["n"] for frame in await client.frames(6)] == list(range(6))
    pair[1].app.broadcast("room:1", "message", {"n": "é🎵"})
    assert (await client.frames(1))[0][4] == {"n": "é🎵"}
    assert [len(each.app.longpoll.sessions) for each in pair] == [1, 0]


@rule("LP-14", "LP-5")
async def test_a_poll_on_another_node_waits_for_the_whole_window_too(http: Any, pair: list[Any]) -> None:
    client = await Wanderer(http, *pair).open()
    begun = asyncio.get_running_loop().time()
    assert (await client.get())["status"] == 204
    assert asyncio.get_running_loop().time() - begun > 0.45
    client.url = client.nodes[1]
    poll = asyncio.create_task(client.get())
    await until(lambda: any(each._poll for each in pair[0].app.longpoll.sessions._sessions.values()))
    client.url = client.nodes[0]
    assert await client.post([None, "1", "phoenix", "heartbeat", {}]) == 200
    assert len((await poll)["messages"]) == 1


@rule("LP-14", "LP-9")
async def test_bytes_and_a_large_body_are_forwarded(http: Any, pair: list[Any]) -> None:
    client = await Wanderer(http, *pair).open()
    client.url = client.nodes[1]
    assert await client.post(["1", "1", "room:1", "phx_join", {}]) == 200
    await client.frames(1)
    client.url = client.nodes[1]
    assert await client.post(*(["1", str(n), "room:1", "size", "x" * 50_000] for n in range(100))) == 200
    assert [frame[4]["response"]["size"] for frame in await client.frames(100)] == [50_000] * 100
    client.url = client.nodes[1]
    assert await client.post_body(b"AAEBBgQxMnJvb206MXNpemUBAv8=", **{"content-type": "application/x-ndjson"}) == 200
    assert (await client.frames(1))[0][4]["response"] == {"size": 3}


@rule("LP-14")
async def test_a_slow_join_on_another_node_is_waited_for(http: Any, node: Node) -> None:
    hub = MemoryHub()
    here, there = [await node(name, MemoryBroker(hub), longpoll_window=10) for name in ("here", "there")]
    await acquainted(here, there)
    client = await Wanderer(http, here, there).open()
    asked: list[Any] = []
    request = there.app.cluster.request

    async def counted(*arguments: Any) -> bytes:
        asked.append(arguments)
        return bytes(await request(*arguments))

    there.app.cluster.request = counted
    post = asyncio.create_task(client.post(["1", "1", "room:1", "phx_join", {"gate": "join"}]))
    await here.reached("join")
    await until(lambda: len(asked) == 2)
    assert not post.done(), "the node has said that it is there"
    here.open("join")
    assert await post == 200


@rule("LP-14")
async def test_a_node_that_does_not_answer_is_gone_in_two_seconds(
    http: Any, node: Node, logged: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("antiphon.realtime.transports.longpoll.NODE_SECONDS", 0.2)
    hub = MemoryHub()
    here, there = [await node(name, MemoryBroker(hub), longpoll_window=10) for name in ("here", "there")]
    await acquainted(here, there)
    client = await Wanderer(http, here, there).open()
    client.url = client.nodes[1]
    hub.brokers[here.app.cluster.node].take = lambda body: None  # type: ignore[method-assign]  # it hears nothing
    assert await client.post([None, "1", "phoenix", "heartbeat", {}]) == 410
    client.url = client.nodes[1]
    answer = await client.get()
    assert (answer["status"], answer["messages"]) == (410, [])
    assert len(there.app.longpoll.sessions) == 1, "the client goes on there"
    assert [line["event"] for line in logged].count("realtime.longpoll_not_forwarded") == 2


@rule("LP-14")
async def test_a_node_that_stops_meanwhile_answers_a_poll(http: Any, node: Node) -> None:
    hub = MemoryHub()
    here, there = [await node(name, MemoryBroker(hub), longpoll_window=10) for name in ("here", "there")]
    await acquainted(here, there)
    client = await Wanderer(http, here, there).open()
    client.url = client.nodes[1]
    poll = asyncio.create_task(client.get())
    await until(lambda: any(each._poll for each in here.app.longpoll.sessions._sessions.values()))
    await here.app.stop()
    assert (await poll)["status"] in {204, 410}
    client.url = client.nodes[1]
    assert (await client.get())["status"] == 410


@rule("LP-14")
async def test_nodes_without_a_common_secret_say_so(http: Any, node: Node, logged: list[Any]) -> None:
    hub = MemoryHub()
    nodes = [await node(f"node{number}", MemoryBroker(hub), secret=None) for number in range(2)]
    await acquainted(*nodes)
    client = await Wanderer(http, *nodes).open()
    assert await client.post([None, "1", "phoenix", "heartbeat", {}]) == 410
    events = [line["event"] for line in logged]
    assert events.count("realtime.no_common_secret") == 2
    assert events.count("realtime.longpoll_token_refused") == 1


async def test_what_another_node_asks_in_other_words_is_an_error_here(node: Node) -> None:
    live = await node("alone", MemoryBroker())
    answer = live.app.longpoll.sessions.answer
    assert msgspec.msgpack.decode(await answer(msgspec.msgpack.encode(SessionAsked("nobody")))) == [410, []]
    for body in (b"", b"\xff\xff", msgspec.msgpack.encode({"session": 1}), msgspec.msgpack.encode(["x", 1])):
        with pytest.raises(msgspec.DecodeError):
            await answer(body)
