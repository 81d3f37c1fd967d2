"""What a client has not taken yet, and what of it may be let go of: the rule of a topic for slow members."""

from collections.abc import Callable, Hashable
from typing import Literal

import msgspec
from prometheus_client import Counter

from antiphon.realtime.wire.base import TopicMessage
from antiphon.telemetry.logs import get_logger

log = get_logger(__name__)

Key = Callable[[TopicMessage], Hashable]


class QueuePolicy(msgspec.Struct, frozen=True):
    """What becomes of broadcasts that a slow member does not take. Replies and pushes to it alone are always kept.

    `disconnect`: they wait, and a member for which too much waits is closed with 1013, to come back and begin anew.
    `drop_oldest`: the oldest broadcasts of such topics are let go of instead. `keep_latest`: of the broadcasts with
    the same `key` only the last one waits.
    """

    kind: Literal["disconnect", "drop_oldest", "keep_latest"]
    key: Key | None = None


DISCONNECT = QueuePolicy("disconnect")
DROP_OLDEST = QueuePolicy("drop_oldest")


def keep_latest(key: str | Key | None = None) -> QueuePolicy:
    """Keeps the last broadcast of each event; of each value of the payload's member `key`, when that is a name; or of
    whatever a function makes of the message."""
    if callable(key):
        return QueuePolicy("keep_latest", key)
    if key is None:
        return QueuePolicy("keep_latest", _event)

    def member(message: TopicMessage) -> Hashable:
        value = message.payload.get(key) if isinstance(message.payload, dict) else None
        return message.event, value if isinstance(value, Hashable) else None

    return QueuePolicy("keep_latest", member)


def _event(message: TopicMessage) -> Hashable:
    return message.event


class Backlog:
    """Frames in the order in which they are to be sent. `size` is in bytes, `since` when the client stopped taking."""

    __slots__ = ("_droppable", "_failed", "_frames", "_latest", "_number", "_told", "since", "size")

    def __init__(self, since: float) -> None:
        self.since = since
        self._told = self._failed = False
        self.size = 0
        self._number = 0
        self._frames: dict[int, bytes] = {}
        self._droppable: dict[int, Hashable] = {}
        self._latest: dict[Hashable, int] = {}

    def __len__(self) -> int:
        return len(self._frames)

    def add(self, frame: bytes) -> None:
        """A frame that must arrive."""
        self._number += 1
        self._frames[self._number] = frame
        self.size += len(frame)

    def add_message(self, message: TopicMessage, frame: bytes, policy: QueuePolicy) -> int:
        """A broadcast of a topic that lets go of some; returns how many were let go of for it."""
        dropped, key = 0, self._key_of(message, policy)
        if key in self._latest:
            self._drop(self._latest[key])
            dropped = 1
        self.add(frame)
        self._droppable[self._number] = key
        if key is not None:
            self._latest[key] = self._number
        return dropped

    def shed(self, size: int, count: int) -> int:
        """Lets go of the oldest broadcasts that may go, until no more than `size` bytes and `count` frames are left or
        none of them is; returns how many."""
        dropped = 0
        while self._droppable and (self.size > size or len(self._frames) > count):
            self._drop(next(iter(self._droppable)))
            dropped += 1
        return dropped

    def bound(self, size: int, count: int, counter: Counter) -> str | None:
        """Lets go of what may go when it is too much; returns the limit that is met even so: `bytes`, `messages`."""
        if self.size <= size and len(self._frames) <= count:
            return None
        self.tell(self.shed(size, count), counter)
        return "bytes" if self.size > size else "messages" if len(self._frames) > count else None

    def tell(self, dropped: int, counter: Counter) -> None:
        """Counts what was let go of, and says so once: a slow client may lose thousands."""
        if dropped:
            counter.inc(dropped)
            if not self._told:
                self._told = True
                log.warning("realtime.broadcasts_dropped", queued=self.size)

    def frames(self) -> list[bytes]:
        """All that waits."""
        return list(self._frames.values())

    def _key_of(self, message: TopicMessage, policy: QueuePolicy) -> Hashable:
        """None where the policy knows none, or fails to tell: all members behind this one wait for it."""
        if policy.key is None:
            return None
        try:
            key = message.topic, policy.key(message)
            hash(key)
        except Exception:  # the application's function: its failure is told once and must not stop the fan-out
            if not self._failed:
                self._failed = True
                log.exception("realtime.queue_key_failed", topic=message.topic[:100])
            return None
        return key

    def _drop(self, number: int) -> None:
        key = self._droppable.pop(number)
        if key is not None:
            self._latest.pop(key, None)
        self.size -= len(self._frames.pop(number))
