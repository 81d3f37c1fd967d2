"""Logs in this process. Other nodes have their own, so that a client which comes back elsewhere is told that what it
missed is not known."""

import secrets
from collections import OrderedDict, deque
from itertools import islice

from antiphon.realtime.recovery.base import Missed, Recovery
from antiphon.realtime.wire.base import Position, TopicMessage
from antiphon.runtime.clock import Clock, SystemClock

TOPICS = 100_000
"""The most that are kept; the one that was quiet for longest gives way."""


class MemoryLogs:
    """`TopicLogs` of one process."""

    shared = False

    def __init__(self, *, topics: int = TOPICS, clock: Clock | None = None) -> None:
        self._topics = topics
        self._clock = clock or SystemClock()
        # The one that was appended to last comes last.
        self._logs: OrderedDict[str, _Log] = OrderedDict()

    def __len__(self) -> int:
        return len(self._logs)

    def append(self, message: TopicMessage, keep: Recovery) -> Position:
        now = self._clock.monotonic()
        log = self._log(message.topic)
        log.append(message, keep, now)
        self._logs.move_to_end(message.topic)
        self._forget(now)
        return Position(log.epoch, log.offset)

    async def since(self, topic: str, seen: Position | None, keep: Recovery) -> Missed:
        log = self._logs.get(topic)
        if log is None:
            # Made now, so that who joins a quiet topic knows where it has joined.
            log = self._log(topic)
            log.until = self._clock.monotonic() + keep.seconds
        log.trim(keep, self._clock.monotonic())
        return log.since(seen)

    async def restart(self, topic: str) -> None:
        self._logs.pop(topic, None)

    async def start(self) -> None:
        """Nothing to do."""

    async def stop(self) -> None:
        self._logs.clear()

    def _log(self, topic: str) -> "_Log":
        log = self._logs.get(topic)
        if log is None:
            log = self._logs[topic] = _Log()
        return log

    def _forget(self, now: float) -> None:
        while len(self._logs) > self._topics:
            self._logs.popitem(last=False)
        topic, oldest = next(iter(self._logs.items()))
        if oldest.until < now:
            del self._logs[topic]


class _Log:
    __slots__ = ("_kept", "epoch", "offset", "until")

    def __init__(self) -> None:
        self.epoch = secrets.token_hex(6)
        self.offset = 0
        self.until = 0.0
        self._kept: deque[tuple[float, TopicMessage]] = deque()

    def append(self, message: TopicMessage, keep: Recovery, now: float) -> None:
        self.offset += 1
        self.until = now + keep.seconds
        self._kept.append((now, message))
        self.trim(keep, now)

    def trim(self, keep: Recovery, now: float) -> None:
        while self._kept and (len(self._kept) > keep.messages or self._kept[0][0] < now - keep.seconds):
            self._kept.popleft()

    def since(self, seen: Position | None) -> Missed:
        here = Position(self.epoch, self.offset)
        missing = -1 if seen is None or seen.epoch != self.epoch else self.offset - seen.offset
        if not 0 <= missing <= len(self._kept):
            return Missed((), False, here)
        found = islice(self._kept, len(self._kept) - missing, None)
        return Missed(tuple(message for _, message in found), True, here)
