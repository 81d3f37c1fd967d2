"""Nodes that lose each other, die, or lose the Redis between them: what comes back, and what is told as lost."""

import asyncio
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Self

import pytest

from antiphon.realtime.client.channel import ClientChannel
from antiphon.realtime.client.options import ClientOptions
from antiphon.realtime.client.phoenix import PhoenixClient
from antiphon.realtime.client.presence import ClientPresence
from tests.proxy import Proxy
from tests.redis_server import RedisServer
from tests.serving import environment

LONGEST = 20.0
OPTIONS = ClientOptions(timeout_seconds=2.0, reconnect_seconds=(0.05,), spread_seconds=0.05)
PROGRAM = Path(__file__).parents[1] / "cluster_room.py"


async def until(happened: Callable[[], object]) -> None:
    async with asyncio.timeout(LONGEST):
        while not happened():
            await asyncio.sleep(0.01)


def counted(state: Any) -> dict[str, int]:
    """How often each is present."""
    return {key: len(entry["metas"]) for key, entry in state.items()}


class Node:
    """A room in a process of its own, which reaches Redis through a proxy. `told` is what it heard of the cluster."""

    def __init__(self, name: str, redis: RedisServer) -> None:
        self.name = name
        self.port = 0
        self.told: list[str] = []
        self.link = Proxy("127.0.0.1", redis.port)
        self._process: asyncio.subprocess.Process | None = None
        self._listening: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        await self.link.__aenter__()
        await self.start()
        return self

    async def start(self) -> None:
        self.port, self.told = 0, []
        self._process = process = await asyncio.create_subprocess_exec(
            *(sys.executable, str(PROGRAM), f"redis://127.0.0.1:{self.link.port}/0", self.name),
            env=environment(Path("/"), PYTHONPATH=f"{PROGRAM.parents[1]}/src:{PROGRAM.parents[1]}"),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
        self._listening = asyncio.create_task(self._listen(process))
        await until(lambda: self.port and "up" in self.told)

    async def kill(self) -> None:
        assert self._process is not None
        assert self._listening is not None
        if self._process.returncode is None:
            self._process.send_signal(signal.SIGKILL)
        await self._process.wait()
        await self._listening

    async def __aexit__(self, *_: object) -> None:
        await self.kill()
        await self.link.__aexit__()

    async def _listen(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        async for line in process.stdout:
            word = line.decode().strip()
            if word.isdigit():
                self.port = int(word)
            else:
                self.told.append(word)


class Guest:
    """A client that is present in the room under its name. It connects through a proxy that can lead it elsewhere."""

    def __init__(self, name: str, node: Node) -> None:
        self.name = name
        self.door = Proxy("127.0.0.1", node.port)
        self.messages: list[Any] = []
        self.joins = 0
        self.client: PhoenixClient
        self.channel: ClientChannel
        self.presence: ClientPresence
        self._life = AsyncExitStack()

    async def __aenter__(self) -> Self:
        await self._life.enter_async_context(self.door)
        self.client = PhoenixClient(f"http://127.0.0.1:{self.door.port}/socket", options=OPTIONS)
        await self._life.enter_async_context(self.client)
        self.channel = self.client.channel("room:1", {"presence": self.name})
        self.presence = ClientPresence(self.channel)
        self.channel.on("message", lambda _, payload: self.messages.append(payload["n"]))
        self.channel.on_joined = self._joined
        await self.channel.join()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._life.aclose()

    async def say(self, n: int) -> None:
        await self.channel.push("broadcast_reply", {"n": n})

    async def sees(self, *names: str) -> None:
        """Waits until these are present, each of them once, for it and for the server that it asks: what is on its way
        to it may still be a ghost."""
        wanted = dict.fromkeys(names, 1)
        async with asyncio.timeout(LONGEST):
            while True:
                told = await self.channel.push("who", {})
                if wanted == counted(told) == counted(self.presence.state):
                    return
                await asyncio.sleep(0.01)

    def _joined(self, _: Any) -> None:
        self.joins += 1


class Cluster:
    """Two nodes with a guest on each, who see and hear each other."""

    def __init__(self, redis: RedisServer) -> None:
        self.redis = redis
        self.near, self.far = Node("near", redis), Node("far", redis)
        self._life = AsyncExitStack()

    async def __aenter__(self) -> Self:
        for node in (self.near, self.far):
            await self._life.enter_async_context(node)
        self.ada = await self._life.enter_async_context(Guest("ada", self.near))
        self.bob = await self._life.enter_async_context(Guest("bob", self.far))
        await self.agree("ada", "bob")
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._life.aclose()

    async def agree(self, *names: str) -> None:
        await asyncio.gather(self.ada.sees(*names), self.bob.sees(*names))

    async def hear_each_other(self, n: int) -> None:
        """What is said on one node is heard once on the other, both ways."""
        await self.ada.say(n)
        await self.bob.say(n + 1)
        for guest in (self.ada, self.bob):
            await until(lambda guest=guest: {n, n + 1} <= set(guest.messages))  # type: ignore[misc]
            assert (guest.messages.count(n), guest.messages.count(n + 1)) == (1, 1)


@pytest.fixture
async def cluster() -> AsyncIterator[Cluster]:
    with RedisServer() as redis:
        async with Cluster(redis) as cluster:
            yield cluster


@pytest.mark.parametrize("silent", [False, True], ids=["refused", "black hole"])
async def test_a_node_that_is_cut_off_comes_back(cluster: Cluster, silent: bool) -> None:
    await cluster.hear_each_other(1)
    gaps = cluster.near.told.count("gap"), cluster.far.told.count("gap")
    if silent:
        cluster.far.link.pause()
    else:
        await cluster.far.link.refuse()
    # Longer than a silence that may be an accident: each side goes on without the other, and sees its own alone.
    await asyncio.gather(cluster.ada.sees("ada"), cluster.bob.sees("bob"))
    await cluster.ada.say(10)
    await cluster.bob.say(20)
    await until(lambda: 10 in cluster.ada.messages and 20 in cluster.bob.messages)
    await until(lambda: cluster.far.told[-1] == "down")
    if silent:
        cluster.far.link.resume()
    else:
        await cluster.far.link.restore()
    await cluster.agree("ada", "bob")
    await cluster.hear_each_other(30)
    # What was said meanwhile did not arrive, or came late: both sides were told that something is missing.
    await until(lambda: cluster.near.told.count("gap") > gaps[0] and cluster.far.told.count("gap") > gaps[1])
    assert (cluster.ada.joins, cluster.bob.joins) == (1, 1), "the clients noticed nothing"


async def test_a_killed_node_fades_and_its_clients_come_back_elsewhere(cluster: Cluster) -> None:
    cluster.bob.door.target = ("127.0.0.1", cluster.near.port)
    await cluster.far.kill()
    await until(lambda: cluster.bob.joins == 2)
    # The ghost of the old connection is seen beside the new one until the silence of its node is long enough.
    await cluster.agree("ada", "bob")
    await cluster.hear_each_other(1)
    await cluster.far.start()
    cluster.bob.door.target = ("127.0.0.1", cluster.far.port)
    cluster.bob.door.cut()
    await until(lambda: cluster.bob.joins == 3)
    await cluster.agree("ada", "bob")
    await cluster.hear_each_other(10)


async def test_a_redis_that_is_started_again(cluster: Cluster) -> None:
    gaps = cluster.near.told.count("gap"), cluster.far.told.count("gap")
    cluster.redis.kill()
    await until(lambda: cluster.near.told[-1] == cluster.far.told[-1] == "down")
    await cluster.ada.say(1)
    await until(lambda: cluster.ada.messages == [1])
    cluster.redis.start()
    await until(lambda: cluster.near.told.count("gap") > gaps[0] and cluster.far.told.count("gap") > gaps[1])
    await cluster.agree("ada", "bob")
    await cluster.hear_each_other(10)
    assert cluster.bob.messages[0] != 1, "lost, and told as lost"
    assert (cluster.ada.joins, cluster.bob.joins) == (1, 1)
