"""Nodes that write down what a broker tells them."""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from pydantic import SecretStr

from antiphon.realtime.brokers.base import Broker, BrokerStatus, open_broker
from antiphon.realtime.brokers.config import ClusterSettings
from antiphon.telemetry.metrics import Metrics

LONGEST = 20.0
"""Seconds for anything to happen."""


async def until(happened: Callable[[], object]) -> None:
    """Returns once it is so."""
    async with asyncio.timeout(LONGEST):
        while not happened():
            await asyncio.sleep(0.002)


class Node:
    """A broker that was started under a name."""

    def __init__(self, name: str, broker: Broker) -> None:
        self.name = name
        self.broker = broker
        self.got: list[bytes] = []
        self.told: list[BrokerStatus] = []

    async def start(self) -> Self:
        await self.broker.start(self.name, self.got.append, self.told.append)
        return self

    async def has(self, *bodies: bytes) -> None:
        """Waits until it was given so many messages, which are these."""
        await until(lambda: len(self.got) >= len(bodies))
        assert self.got == list(bodies)


class Nodes:
    """Makes nodes, and stops them at the end, when no task and no socket may be left."""

    def __init__(self, make: Callable[[], Broker] | None = None) -> None:
        self._make = make
        self._life = AsyncExitStack()
        self._tasks: set[asyncio.Task[object]] = set()
        self._sockets = 0

    async def __aenter__(self) -> Self:
        self._tasks, self._sockets = asyncio.all_tasks(), _sockets()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._life.aclose()
        left = [repr(task) for task in asyncio.all_tasks() - self._tasks]
        assert [task for task in left if "TestRunner" not in task] == []
        await until(lambda: _sockets() == self._sockets)

    async def __call__(self, name: str, broker: Broker | None = None) -> Node:
        if broker is None:
            assert self._make is not None, "every node has a broker of its own"
            broker = self._make()
        node = Node(name, broker)
        self._life.push_async_callback(node.broker.stop)
        return await node.start()


def broker_at(url: str, *, timeout: float = 0.6, metrics: Metrics | None = None, **more: Any) -> Broker:
    """One that is quick to notice."""
    return open_broker(ClusterSettings(url=SecretStr(url), timeout=timeout, **more), metrics=metrics or Metrics())


async def talk(nodes: Nodes, url: str, **more: Any) -> None:
    """Two nodes at this URL hear each other."""
    one, two = await nodes("one", broker_at(url, **more)), await nodes("two", broker_at(url, **more))
    one.broker.publish(b"hello")
    two.broker.send("one", b"answer")
    await two.has(b"hello")
    await one.has(b"answer")


def refusal(logged: Iterable[Mapping[str, Any]]) -> str:
    """Why there is no connection, which is said once."""
    (line,) = [line for line in logged if line["event"] == "broker.unreachable"]
    assert "hunter2" not in str(line)
    return str(line["error"])


def _sockets() -> int:
    found = set()
    for entry in Path("/proc/self/fd").iterdir():
        with suppress(OSError):  # the folder itself was open while it was read
            found.add(str(entry.readlink()))
    return sum(each.startswith("socket:") for each in found)
