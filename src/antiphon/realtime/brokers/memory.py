"""A broker for nodes in one process: tests, and houses of one process."""

import asyncio
from collections import deque

from antiphon.realtime.brokers._losses import Losses
from antiphon.realtime.brokers.base import LARGEST, Changed, Deliver
from antiphon.realtime.brokers.config import UNSENT, ClusterSettings
from antiphon.telemetry.metrics import Metrics


class MemoryHub:
    """Where the brokers of one process meet, each under the name of its node. They may be in several loops."""

    def __init__(self) -> None:
        self.brokers: dict[str, MemoryBroker] = {}


class MemoryBroker:
    """`Broker` among those of one `hub`; without one it is alone. Messages arrive in the next round of the loop."""

    name = "memory"

    def __init__(
        self, hub: MemoryHub | None = None, *, unsent_bytes: int = UNSENT, metrics: Metrics | None = None
    ) -> None:
        self._hub = hub or MemoryHub()
        self._limit = unsent_bytes
        self._losses = Losses(self.name, metrics)
        self._node: str | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._deliver: Deliver = lambda _: None
        self._changed: Changed = lambda _: None
        self._arrived: deque[bytes] = deque()
        self._size = 0
        self._overflowed = False

    async def start(self, node: str, deliver: Deliver, changed: Changed) -> None:
        self._node, self._deliver, self._changed = node, deliver, changed
        self._loop = asyncio.get_running_loop()
        self._hub.brokers[node] = self
        changed("up")

    def publish(self, body: bytes) -> None:
        for broker in self._reachable(body):
            if broker is not self:
                broker.take(body)

    def send(self, node: str, body: bytes) -> None:
        known = self._reachable(body)
        for broker in known:
            if broker is self._hub.brokers.get(node) and broker is not self:
                broker.take(body)

    async def stop(self) -> None:
        if self._node is not None and self._hub.brokers.get(self._node) is self:
            del self._hub.brokers[self._node]
        self._node = self._loop = None
        self._arrived.clear()
        self._size = 0

    def take(self, body: bytes) -> None:
        """Called by the broker of another node, in its loop."""
        if self._loop is None or self._loop.is_closed():
            return
        if self._size + len(body) > self._limit:
            self._overflowed = True
            self._losses.add("full", waiting=self._size)
            return
        self._size += len(body)
        self._arrived.append(body)
        if len(self._arrived) == 1:
            self._loop.call_soon_threadsafe(self._hand_over)

    def _reachable(self, body: bytes) -> tuple["MemoryBroker", ...]:
        if self._loop is None:
            self._losses.add("down")
            return ()
        if len(body) > LARGEST:
            self._losses.add("large", size=len(body), largest=LARGEST)
            return ()
        return tuple(self._hub.brokers.values())

    def _hand_over(self) -> None:
        deliver = self._deliver
        for _ in range(len(self._arrived)):  # what arrives meanwhile is for the next round
            if not self._arrived:
                return  # stopped by what was delivered
            body = self._arrived[0]
            self._size -= len(body)
            deliver(body)
            if self._arrived:
                self._arrived.popleft()
        if self._arrived and self._loop is not None:
            self._loop.call_soon(self._hand_over)
        elif self._overflowed:
            self._overflowed = False
            self._losses.forget()
            self._changed("gap")


def open_url(settings: ClusterSettings, metrics: Metrics | None) -> MemoryBroker:
    """A broker for the only process of a house."""
    return MemoryBroker(unsent_bytes=settings.unsent_bytes, metrics=metrics)
