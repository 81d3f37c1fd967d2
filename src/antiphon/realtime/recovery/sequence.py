"""The broadcasts of a topic in the order of its log, whichever way and in whatever order they come."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from antiphon.errors import ServiceError
from antiphon.realtime.recovery.base import Missed
from antiphon.realtime.wire.base import Position, TopicMessage
from antiphon.telemetry.logs import get_logger

if TYPE_CHECKING:
    from antiphon.realtime.members.member import Member

log = get_logger(__name__)

Deliver = Callable[[TopicMessage, "Member | None"], object]
Ask = Callable[[str, Position], Awaitable[Missed]]

PATIENCE_SECONDS = 0.1
"""How long the next message may be late before the log is asked for it."""

MOST_ENDED = 8
"""Logs of one topic that are remembered after their end, which comes several times while their server fails."""

RETRY_SECONDS = 1.0
"""After which a log that could not be reached is asked again."""


class Sequence:
    """One topic with members on this node. With `holds` nothing is delivered until `begin` says where it begins;
    otherwise the first message that comes does.

    What comes too early waits for what is before it; what does not come by itself is taken from the log, and where the
    log does not have it either, `lost` is called. What comes late from before the beginning, or of a log that has ended
    meanwhile, has not been delivered yet, and is at once.
    """

    def __init__(
        self, topic: str, deliver: Deliver, ask: Ask, lost: Callable[[str], object], *, holds: bool = False
    ) -> None:
        self._topic = topic
        self._deliver = deliver
        self._ask = ask
        self._lost = lost
        self._held: list[tuple[TopicMessage, Position, Member | None]] | None = [] if holds else None
        self._first = 0
        self._last: Position | None = None
        self._ended: dict[str, int] = {}
        """Where each log before this one was left: a late message of it must not be taken for that of yet another."""
        self._early: dict[int, tuple[TopicMessage, Member | None]] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._asking: asyncio.Task[None] | None = None
        self._again = False
        self._turned = False
        """Whether another log has begun since members were last told of a gap: what went out in between is in none."""

    def take(self, message: TopicMessage, place: Position, skip: "Member | None" = None) -> None:
        """Delivers it now, later, or not at all when it has been."""
        if self._held is not None:
            self._held.append((message, place, skip))
            return
        if place.epoch in self._ended:
            left = self._ended[place.epoch]
            if place.offset > left:
                if place.offset == left + 1:
                    self._ended[place.epoch] = place.offset  # an answer of that log may still bring it once more
                self._deliver(message, skip)
            return
        last = self._last
        if last is None:
            last = self._follow(Position(place.epoch, place.offset - 1))
        elif last.epoch != place.epoch:
            # Of a log that is new all messages are for the members that are here.
            self._give_up_waiting()
            last = self._follow(Position(place.epoch, 0))
        if place.offset > last.offset:
            self._early[place.offset] = message, skip
            self._go_on()
        elif place.offset < self._first:
            self._deliver(message, skip)

    def begin(self, place: Position | None) -> None:
        """What is up to there has been seen; with None the first message that came decides after all."""
        held, self._held = self._held or (), None
        if place is not None:
            self._follow(place)
        for each in held:
            self.take(*each)

    def heal(self) -> None:
        """Messages of other nodes may have been lost: tells so where no log can have all of them, and asks for the
        rest."""
        if self._turned:
            self._lose()
        self._ask_log()

    def _ask_log(self) -> None:
        if self._asking is not None:
            self._again = True  # what is being answered may have been asked before it was lost
        elif self._last is not None:
            self._asking = asyncio.create_task(self._fill(), name=f"heal:{self._topic[:50]}")

    def close(self) -> None:
        """The topic has no members here any more."""
        if self._timer is not None:
            self._timer.cancel()
        if self._asking is not None:
            self._asking.cancel()

    def _follow(self, place: Position) -> Position:
        """Goes on behind this place, which may be in another log."""
        last = self._last
        if last is not None and last.epoch != place.epoch:
            place = Position(place.epoch, max(place.offset, self._ended.pop(place.epoch, 0)))
            self._ended[last.epoch] = last.offset
            self._turned = True
            if len(self._ended) > MOST_ENDED:
                del self._ended[next(iter(self._ended))]
        self._last, self._first = place, place.offset + 1
        return place

    def _go_on(self) -> None:
        while self._last is not None and (found := self._early.pop(self._last.offset + 1, None)) is not None:
            self._last = Position(self._last.epoch, self._last.offset + 1)
            self._deliver(*found)
        if self._early and self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(PATIENCE_SECONDS, self._too_late)

    def _too_late(self) -> None:
        self._timer = None
        if self._early and self._asking is None:
            self._ask_log()

    async def _fill(self) -> None:
        try:
            while (seen := self._last) is not None:
                self._again = False
                missed = await self._answer(seen)
                if missed is None and not self._early:
                    await asyncio.sleep(RETRY_SECONDS)
                    continue
                if self._last is not None and self._last.epoch == seen.epoch:
                    self._learn(seen, missed)
                else:
                    self._learn_of_ended(seen, missed)
                if not self._again:
                    return
        finally:
            self._asking = None

    async def _answer(self, seen: Position) -> Missed | None:
        try:
            return await self._ask(self._topic, seen)
        except ServiceError as error:
            log.warning("recovery.not_healed", topic=self._topic[:100], problem=str(error))
            return None

    def _learn(self, seen: Position, missed: Missed | None) -> None:
        if missed is not None and missed.complete:
            for number, message in enumerate(missed.messages, seen.offset + 1):
                self._early.setdefault(number, (message, None))
        elif missed is not None and missed.position.epoch != seen.epoch:
            self._give_up_waiting()
            self._follow(missed.position)
            self._lose()
        else:
            self._lose()
            self._skip_to(min(self._early) - 1 if self._early else missed.position.offset if missed is not None else 0)
        self._early = {offset: found for offset, found in self._early.items() if offset > self._offset}
        self._go_on()

    def _learn_of_ended(self, seen: Position, missed: Missed | None) -> None:
        """Another log has begun since it was asked about this one."""
        if missed is None or not missed.complete:
            self._lose()
        else:
            for number, message in enumerate(missed.messages, seen.offset + 1):
                if number > self._ended.get(seen.epoch, number):
                    self._ended[seen.epoch] = number
                    self._deliver(message, None)

    def _skip_to(self, offset: int) -> None:
        """Never back: what has come meanwhile may be farther than what the log has answered."""
        if self._last is not None and offset > self._last.offset:
            self._last = Position(self._last.epoch, offset)

    def _give_up_waiting(self) -> None:
        """Delivers what waits, and says that something between has no copy anywhere."""
        if not self._early:
            return
        self._lose()
        early, self._early = sorted(self._early.items()), {}
        for offset, found in early:
            self._skip_to(offset)
            self._deliver(*found)

    def _lose(self) -> None:
        self._turned = False
        self._lost(self._topic)

    @property
    def _offset(self) -> int:
        return -1 if self._last is None else self._last.offset
