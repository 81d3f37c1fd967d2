"""Nodes that write down what a broker tells them."""

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from antiphon.realtime.brokers.base import Broker, BrokerStatus

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

    def __init__(self, make: Callable[[], Broker]) -> None:
        self.make = make
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
        node = Node(name, broker or self.make())
        self._life.push_async_callback(node.broker.stop)
        return await node.start()


def _sockets() -> int:
    found = set()
    for entry in Path("/proc/self/fd").iterdir():
        with suppress(OSError):  # the folder itself was open while it was read
            found.add(str(entry.readlink()))
    return sum(each.startswith("socket:") for each in found)
