"""What brokers in a server have in common: a life on connections, and an account of what those could not carry."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Generic, TypeVar

from antiphon.realtime.brokers._keeper import Keeper
from antiphon.realtime.brokers._link import Link
from antiphon.realtime.brokers._losses import Losses
from antiphon.realtime.brokers.base import LARGEST, Changed, Deliver
from antiphon.realtime.brokers.config import ClusterSettings
from antiphon.telemetry.metrics import Metrics

OutT = TypeVar("OutT", bound=Link)


class ServedBroker(ABC, Generic[OutT]):
    """A `Broker` but for its words. `where` names the server for people."""

    name: str

    def __init__(self, settings: ClusterSettings, metrics: Metrics | None, where: str) -> None:
        self._losses = Losses(self.name, metrics)
        self._keeper = Keeper(self.name, where, self._enter, timeout=settings.timeout)
        self._node = ""
        self._deliver: Deliver = lambda _: None
        self._changed: Changed = lambda _: None
        self._out: OutT | None = None

    async def start(self, node: str, deliver: Deliver, changed: Changed) -> None:
        """See `Broker`."""
        self._node, self._deliver, self._changed = node, deliver, changed
        await self._keeper.start(changed)

    async def stop(self) -> None:
        """See `Broker`."""
        await self._keeper.stop()
        self._out = None

    @abstractmethod
    async def _connect(self) -> tuple[OutT, Sequence[Link]]:
        """What is published leaves by the first, and no connection of the others may be lost either. Returns when all
        that others publish arrives, and when the server takes what is published here."""

    async def _enter(self) -> Sequence[Link]:
        self._out, others = await self._connect()
        self._losses.forget()
        return (self._out, *others)

    def _lose(self, body: bytes) -> None:
        """It could not be sent."""
        if len(body) > LARGEST:
            self._losses.add("large", size=len(body), largest=LARGEST)
        elif self._out is None or self._out.over:
            self._losses.add("down")
        else:
            self._losses.add("full")

    def _refused(self, error: str) -> None:
        """The server did not take what was sent."""
        self._losses.add("refused", error=error)

    def _caught_up(self) -> None:
        """Everything can be sent again."""
        self._losses.forget()
        self._changed("gap")
