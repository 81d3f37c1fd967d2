"""Broadcasts of topics that are kept: each goes into the log first, and carries its place there to the members."""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec

from antiphon.errors import ServiceError
from antiphon.realtime.recovery.base import Missed, Recovery, TopicLogs
from antiphon.realtime.recovery.sequence import Sequence
from antiphon.realtime.wire.base import Position, TopicMessage
from antiphon.runtime.tasks import Tasks
from antiphon.telemetry.logs import get_logger
from antiphon.telemetry.metrics import Metrics, get_metrics

if TYPE_CHECKING:
    from antiphon.realtime.members.member import Member

log = get_logger(__name__)

GAP = "gap"
"""The event that tells members that broadcasts of their topic were lost for good."""

_BEHIND = "\0"

_ROOM = 1000
"""Topics in order before those that everybody has left are looked for; twice as many as are left from then on."""


class Recorder:
    """`deliver` takes a broadcast to the members on this node, `forward` to the other nodes; `members` counts those of
    a topic here, `kept` tells how much of it is kept.

    Delivery never waits for a log that cannot be reached: the message goes out without its place then, and the log
    begins anew, so that nobody is told it were complete.
    """

    def __init__(
        self,
        logs: TopicLogs,
        *,
        deliver: "Callable[[TopicMessage, Member | None], object]",
        forward: Callable[[TopicMessage], object],
        members: Callable[[str], int],
        kept: Callable[[str], Recovery | None],
        metrics: Metrics | None = None,
    ) -> None:
        self._logs = logs
        self._deliver = deliver
        self._forward = forward
        self._members = members
        self._sequences: dict[str, Sequence] = {}
        self._room = _ROOM
        self._kept = kept
        self._running = False
        self._waiting: deque[tuple[TopicMessage, Member | None, asyncio.Future[Position]]] = deque()
        self._broken: set[str] = set()
        self._mending: asyncio.Task[None] | None = None
        self._tasks = Tasks()
        metrics = metrics or get_metrics()
        recovered = metrics.counter(
            "antiphon_recoveries_total",
            "Joins that asked for what they missed, by whether all of it was known.",
            ("result",),
        )
        self._complete, self._incomplete = recovered.labels("complete"), recovered.labels("incomplete")
        self._unlogged = metrics.counter("antiphon_recovery_unlogged_total", "Broadcasts that no log could take.")
        self._gaps = metrics.counter("antiphon_recovery_gaps_total", "Times that broadcasts to members here were lost.")

    # Out

    def publish(self, message: TopicMessage, skip: "Member | None", keep: Recovery) -> None:
        """Never waits; broadcasts of one node keep their order."""
        place = self._logs.append(message, keep)
        if isinstance(place, Position) and not self._waiting:
            self._out(message, skip, place)
            return
        done = asyncio.ensure_future(_now(place) if isinstance(place, Position) else place)
        self._waiting.append((message, skip, done))
        done.add_done_callback(self._drain)

    def _drain(self, _: object) -> None:
        while self._waiting and self._waiting[0][2].done():
            message, skip, done = self._waiting.popleft()
            failed = done.cancelled() or done.exception() is not None
            self._out(message, skip, None if failed else done.result())

    def _out(self, message: TopicMessage, skip: "Member | None", place: Position | None) -> None:
        if place is None:
            self._unlogged.inc()
            self._break(message.topic)
            self._deliver(message, skip)
            self._forward(message)
            return
        placed = _placed(message, place)
        if self._logs.shared:
            self._forward(
                TopicMessage(message.topic, f"{message.event}{_BEHIND}{place}", message.raw, binary=message.binary)
            )
            self._in_order(placed, place, skip)
        else:
            self._forward(message)
            self._deliver(placed, skip)

    # In

    def receive(self, message: TopicMessage, keep: Recovery) -> None:
        """A broadcast of another node."""
        event, _, cursor = message.event.rpartition(_BEHIND)
        place = Position.read(cursor)
        plain = message if place is None else TopicMessage(message.topic, event, message.raw, binary=message.binary)
        if place is not None:
            self._in_order(_placed(plain, place), place, None)
        elif self._logs.shared:
            self._deliver(plain, None)
        else:
            own = self._logs.append(plain, keep)
            self._deliver(_placed(plain, own) if isinstance(own, Position) else plain, None)

    def heal(self) -> None:
        """Other nodes may have broadcast what did not arrive here."""
        for sequence in self._sequences.values():
            sequence.heal()

    def _in_order(self, message: TopicMessage, place: Position, skip: "Member | None") -> None:
        topic = message.topic
        sequence = self._sequences.get(topic)
        if not self._members(topic):
            if sequence is not None:
                sequence.close()
                del self._sequences[topic]
            return
        (sequence or self._begin(topic)).take(message, place, skip)

    def _begin(self, topic: str, *, holds: bool = False) -> Sequence:
        if len(self._sequences) >= self._room:
            self._forget_left()
            self._room = max(_ROOM, 2 * len(self._sequences))
        sequence = self._sequences[topic] = Sequence(topic, self._deliver, self._ask, self._lose, holds=holds)
        return sequence

    def _forget_left(self) -> None:
        """Most topics fall silent before their last member goes: no message comes then that would notice it."""
        for topic in [topic for topic in self._sequences if not self._members(topic)]:
            self._sequences.pop(topic).close()

    async def _ask(self, topic: str, seen: Position) -> Missed:
        missed = await self._logs.since(topic, seen, self._kept(topic) or Recovery())
        # What this node has said may be in it before its place is known here. It goes to all but who said it.
        own = [done for message, _, done in self._waiting if message.topic == topic]
        if own:
            await asyncio.wait(own)
        if topic in self._broken:
            raise ServiceError("What it has may have gone out already, without a place: the log begins anew.")
        return _with_places(missed, seen)

    def _lose(self, topic: str) -> None:
        self._gaps.inc()
        log.warning("recovery.gap", topic=topic[:100])
        self._deliver(TopicMessage.of(topic, GAP, {}), None)

    # Coming back

    async def since(self, topic: str, cursor: object, keep: Recovery) -> Missed | None:
        """What a member that joins now missed since `cursor`; None when the log cannot be reached."""
        seen = None if topic in self._broken else Position.read(cursor)
        # From the answer on nothing may be missing: what comes until then waits, or the later of two could come first.
        new = self._logs.shared and topic not in self._sequences
        sequence = self._begin(topic, holds=True) if new else None
        missed = None
        try:
            missed = _with_places(await self._logs.since(topic, seen, keep), seen)
        except ServiceError as error:
            log.warning("recovery.log_unreachable", problem=str(error))
        finally:
            if sequence is not None:
                sequence.begin(None if missed is None else missed.position)
        if cursor is not None:
            (self._complete if missed is not None and missed.complete else self._incomplete).inc()
        return missed

    # Life

    async def start(self) -> None:
        self._running = True
        await self._logs.start()

    async def stop(self) -> None:
        """What waits for its log goes out before, with its place or without."""
        await self._logs.stop()
        self._running = False
        for sequence in self._sequences.values():
            sequence.close()
        self._sequences.clear()
        await self._tasks.stop()

    def _break(self, topic: str) -> None:
        """The log of the topic is not whole any more: it begins anew as soon as it can be reached."""
        self._broken.add(topic)
        if self._running and (self._mending is None or self._mending.done()):
            self._mending = self._tasks.start("mend topic logs", self._mend)

    async def _mend(self) -> None:
        pause = 0.1
        while self._broken:
            topic = next(iter(self._broken))
            try:
                await self._logs.restart(topic)
                self._broken.discard(topic)
            except ServiceError:
                await asyncio.sleep(pause)
                pause = min(2 * pause, 5.0)


async def _now(place: Position) -> Position:
    return place


def _placed(message: TopicMessage, place: Position) -> TopicMessage:
    """The message with its cursor: a member of its payload, or for bytes, which have none, known to us alone."""
    raw = message.raw
    if not message.binary:
        raw = b'%b%b"cursor":"%b"}' % (raw[:-1], b"" if raw == b"{}" else b",", str(place).encode())
    return TopicMessage(message.topic, message.event, raw, binary=message.binary, place=place)


def _with_places(missed: Missed, seen: Position | None) -> Missed:
    if seen is None or not missed.messages:
        return missed
    messages = tuple(
        _placed(message, Position(seen.epoch, number))
        for number, message in enumerate(missed.messages, seen.offset + 1)
    )
    return msgspec.structs.replace(missed, messages=messages)
