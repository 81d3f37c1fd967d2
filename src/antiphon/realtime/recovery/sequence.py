"""The broadcasts of a topic in the order of its log, whichever way and in whatever order they come."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from antiphon.errors import ServiceError
from antiphon.realtime.recovery.base import Missed
from antiphon.realtime.wire.base import Position, TopicMessage
from antiphon.telemetry.logs import get_logger

if TYPE_CHECKING:
    from antiphon.realtime.member import Member

log = get_logger(__name__)

Deliver = Callable[[TopicMessage, "Member | None"], object]
Ask = Callable[[str, Position], Awaitable[Missed]]

PATIENCE_SECONDS = 0.1
"""How long the next message may be late before the log is asked for it."""


class Sequence:
    """One topic with members on this node. The first message that comes says where it begins.

    What comes too early waits for what is before it; what does not come by itself is taken from the log, and where the
    log does not have it either, `lost` is called.
    """

    def __init__(self, topic: str, deliver: Deliver, ask: Ask, lost: Callable[[str], object]) -> None:
        self._topic = topic
        self._deliver = deliver
        self._ask = ask
        self._lost = lost
        self._last: Position | None = None
        self._early: dict[int, tuple[TopicMessage, Member | None]] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._asking: asyncio.Task[None] | None = None

    def take(self, message: TopicMessage, place: Position, skip: "Member | None" = None) -> None:
        """Delivers it now, later, or not at all when it has been."""
        if self._last is None or self._last.epoch != place.epoch:
            self._early.clear()
            self._last = Position(place.epoch, place.offset - 1)
        if place.offset > self._last.offset:
            self._early[place.offset] = message, skip
            self._go_on()

    def start_behind(self, place: Position) -> None:
        """What is up to there has been seen."""
        self._last = place

    def heal(self) -> None:
        """Asks the log for whatever may have been missed."""
        if self._last is not None and self._asking is None:
            self._asking = asyncio.create_task(self._fill(self._last), name=f"heal:{self._topic[:50]}")

    def close(self) -> None:
        """The topic has no members here any more."""
        if self._timer is not None:
            self._timer.cancel()
        if self._asking is not None:
            self._asking.cancel()

    def _go_on(self) -> None:
        while self._last is not None and (found := self._early.pop(self._last.offset + 1, None)) is not None:
            self._last = Position(self._last.epoch, self._last.offset + 1)
            self._deliver(*found)
        if self._early and self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(PATIENCE_SECONDS, self._too_late)

    def _too_late(self) -> None:
        self._timer = None
        if self._early:
            self.heal()

    async def _fill(self, seen: Position) -> None:
        try:
            missed = await self._ask(self._topic, seen)
        except ServiceError as error:
            log.warning("recovery.not_healed", topic=self._topic[:100], problem=str(error))
            missed = None
        finally:
            self._asking = None
        if missed is not None and missed.complete:
            for number, message in enumerate(missed.messages, seen.offset + 1):
                self._early.setdefault(number, (message, None))
        elif self._early or missed is not None:
            self._skip_what_is_lost(missed)
        self._early = {offset: found for offset, found in self._early.items() if offset > self._offset}
        self._go_on()

    def _skip_what_is_lost(self, missed: Missed | None) -> None:
        """What is between has no copy anywhere: goes on behind it, and says so."""
        self._lost(self._topic)
        if self._early and self._last is not None:
            self._last = Position(self._last.epoch, min(self._early) - 1)
        elif missed is not None:
            self._last = missed.position

    @property
    def _offset(self) -> int:
        return -1 if self._last is None else self._last.offset
