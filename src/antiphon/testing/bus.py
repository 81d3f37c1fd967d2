"""A bus between nodes that goes wrong on purpose, and in the same way again for the same seed."""

import random
from collections import deque
from collections.abc import Iterable

import msgspec

from antiphon.realtime.brokers.base import Changed, Deliver
from antiphon.runtime.clock import Clock, SystemClock
from antiphon.runtime.tasks import Tasks


class Faults(msgspec.Struct, frozen=True):
    """How a bus behaves. Shares are between 0 and 1, delays in seconds; by default it is a bus without a fault."""

    loss: float = 0.0
    duplication: float = 0.0
    delay: tuple[float, float] = (0.0, 0.0)
    """The least and the most that a message takes."""
    reorder: bool = False
    """Whether a message may overtake an earlier one; it takes a `delay` that varies."""


class FaultyBus:
    """Makes the brokers of the nodes (`Phoenix(cluster=Cluster(bus.broker()))`) and stands between them.

    Nodes in different parts of a partition do not hear each other and are not told so. One that is cut off knows it, as
    with a broker whose server is gone; when it is joined again it is told of a gap. With a `ManualClock` time passes
    only when the test says so. Belongs to one loop.
    """

    def __init__(self, *, seed: int = 0, faults: Faults | None = None, clock: Clock | None = None) -> None:
        self.faults = faults or Faults()
        """May be replaced at any time."""
        self.clock = clock or SystemClock()
        self.chance = random.Random(seed)  # noqa: S311 - to be repeated, not to be kept from anybody
        self.lost = self.carried = 0
        """Messages that did not arrive, and that did."""
        self._brokers: list[FaultyBroker] = []
        self._parts: list[set[FaultyBroker]] = []

    def broker(self) -> "FaultyBroker":
        """The broker of one more node."""
        broker = FaultyBroker(self)
        self._brokers.append(broker)
        return broker

    def partition(self, *parts: Iterable["FaultyBroker"]) -> None:
        """From now on only those of one part hear each other; whoever is in none hears nobody."""
        self._parts = [set(part) for part in parts]

    def heal(self) -> None:
        """Ends the partition; what was said meanwhile stays lost."""
        self._parts = []

    def others(self, sender: "FaultyBroker") -> list["FaultyBroker"]:
        """Whom a broker can reach now."""
        return [each for each in self._brokers if each is not sender and each.up and self._joined(sender, each)]

    def _joined(self, one: "FaultyBroker", other: "FaultyBroker") -> bool:
        return not self._parts or any(one in part and other in part for part in self._parts)


class FaultyBroker:
    """One node's end of a `FaultyBus`: a `Broker`."""

    name = "faulty"

    def __init__(self, bus: FaultyBus) -> None:
        self.up = False
        """Whether it hears and is heard."""
        self.node: str | None = None
        self._bus = bus
        self._deliver: Deliver = lambda _: None
        self._changed: Changed = lambda _: None
        self._tasks = Tasks()
        self._links: dict[FaultyBroker, deque[bytes]] = {}
        self._due: dict[FaultyBroker, float] = {}

    async def start(self, node: str, deliver: Deliver, changed: Changed) -> None:
        """See `Broker`."""
        self.node, self._deliver, self._changed, self.up = node, deliver, changed, True
        changed("up")

    def publish(self, body: bytes) -> None:
        """See `Broker`."""
        for other in self._bus.others(self) if self.up else ():
            self._carry(other, body)

    def send(self, node: str, body: bytes) -> None:
        """See `Broker`."""
        for other in self._bus.others(self) if self.up else ():
            if other.node == node:
                self._carry(other, body)

    async def stop(self) -> None:
        """See `Broker`."""
        self.up, self.node = False, None
        await self._tasks.stop()
        self._links.clear()

    def cut_off(self) -> None:
        """Its connection breaks: it hears nothing, is not heard, and knows it."""
        if self.up:
            self.up = False
            self._changed("down")

    def join_again(self) -> None:
        """Its connection is back, with a gap behind it."""
        if not self.up and self.node is not None:
            self.up = True
            self._changed("gap")

    def _carry(self, other: "FaultyBroker", body: bytes) -> None:
        faults, chance = self._bus.faults, self._bus.chance
        if chance.random() < faults.loss:
            self._bus.lost += 1
            return
        for _ in range(2 if chance.random() < faults.duplication else 1):
            takes = chance.uniform(*faults.delay)
            if faults.reorder:
                self._tasks.start("bus message", self._arrive, other, takes, body)
            else:
                # In order: nobody is there before whoever left before.
                now = self._bus.clock.monotonic()
                due = self._due[other] = max(self._due.get(other, now), now + takes)
                self._links.setdefault(other, deque()).append(body)
                self._tasks.start("bus message", self._arrive, other, due - now, None)

    async def _arrive(self, other: "FaultyBroker", takes: float, body: bytes | None) -> None:
        await self._bus.clock.sleep(takes)
        if body is None:
            body = self._links[other].popleft()
        if other in self._bus.others(self):
            self._bus.carried += 1
            other.take(body)
        else:
            self._bus.lost += 1

    def take(self, body: bytes) -> None:
        """A message has arrived."""
        self._deliver(body)
