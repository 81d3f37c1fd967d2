"""Topics: which pattern serves one, who is in it, and the fan-out of what is broadcast there."""

import asyncio
import sys
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TYPE_CHECKING, Generic, TypeVar

from antiphon.errors import ConfigError
from antiphon.realtime.transports.backlog import DISCONNECT, QueuePolicy
from antiphon.realtime.transports.base import Batch
from antiphon.realtime.wire.base import TopicMessage

if TYPE_CHECKING:
    from antiphon.realtime.members.member import Member

Target = TypeVar("Target")

_GONE = sys.maxsize


class TopicPattern:
    """A literal topic, or a prefix followed by one final `*` (MD-7)."""

    __slots__ = ("prefix", "text")

    def __init__(self, text: str) -> None:
        if not text or "*" in text[:-1]:
            raise ConfigError(f"topic pattern {text!r}: write a topic, or a prefix with one * at the very end")
        self.text = text
        self.prefix = text[:-1] if text.endswith("*") else None

    def matches(self, topic: str) -> bool:
        """Whether the pattern covers `topic`; `room:*` covers `room:` and `room:a:b`, not `room`."""
        return topic == self.text if self.prefix is None else topic.startswith(self.prefix)


class TopicRoutes(Generic[Target]):
    """Patterns in the order they were declared; the first that matches wins."""

    def __init__(self) -> None:
        self._routes: list[tuple[TopicPattern, Target]] = []

    def add(self, pattern: str, target: Target) -> None:
        self._routes.append((TopicPattern(pattern), target))

    def find(self, topic: str) -> Target | None:
        for pattern, target in self._routes:  # `next` of a generator takes twice as long, and every join comes by
            if pattern.matches(topic):
                return target
        return None


class Topic:
    """The members of one topic and a short log of what they have not all received yet.

    Every member has a cursor into the log. Broadcasts of one loop tick leave as one batch per member; whoever is sent
    something of its own in between is brought up to date first (`deliver`), so nothing ever overtakes anything.
    """

    __slots__ = ("_batches", "_goal", "_log", "_skipped", "_sweep", "head", "members", "name", "policy")

    def __init__(self, name: str, policy: QueuePolicy) -> None:
        self.name = name
        self.policy = policy
        self.members: dict[Member, None] = {}
        self.head = 0
        """How many broadcasts there have been; those that not all have received are the end of them, the log."""
        self._goal = 0
        self._log: list[tuple[TopicMessage, Member | None]] = []
        # No set while it would be empty, as it nearly always is: it would be a third of a topic's memory.
        self._skipped: set[Member] | None = None
        self._batches: dict[int, Batch] = {}
        self._sweep: Iterator[Member] | None = None

    def append(self, message: TopicMessage, skip: "Member | None") -> None:
        self._log.append((message, skip))
        self.head += 1
        self._batches.clear()
        if skip is not None:
            self._skipped = self._skipped or set()
            self._skipped.add(skip)

    def deliver(self, member: "Member") -> None:
        """Hands `member` everything it has not received."""
        cursor, head = member.cursor, self.head
        if cursor >= head:
            return
        member.cursor = head
        if self._skipped and member in self._skipped:
            own = [message for message, skip in self._log[cursor - head :] if skip is not member]
            if own:
                member.receive(Batch(own, self.policy))
            return
        batch = self._batches.get(cursor)
        if batch is None:
            batch = self._batches[cursor] = Batch([message for message, _ in self._log[cursor - head :]], self.policy)
        member.receive(batch)

    def sweep(self, budget: int) -> int:
        """Delivers to up to `budget` members and returns how many it visited."""
        if self._sweep is None:
            self._sweep, self._goal = iter(list(self.members)), self.head
        visited = 0
        for member in islice(self._sweep, budget):
            visited += 1
            batch = None if self._skipped else self._batches.get(member.cursor)
            if batch is None:
                self.deliver(member)
            else:  # what was made for one before it; read anew each time, as a member may broadcast when it receives
                member.cursor = self.head
                member.receive(batch)
        if visited < budget:
            self._sweep = None
            # Whoever was a member when the sweep began has reached its goal by now; who came later began beyond it.
            del self._log[: len(self._log) - (self.head - self._goal)]
            self._batches.clear()
            self._skipped = {skip for _, skip in self._log if skip is not None} or None
        return visited

    @property
    def settled(self) -> bool:
        """Whether every member has everything."""
        return not self._log


class Topics:
    """All topics with members. Broadcasts go out once per loop tick, in slices that let other work pass."""

    def __init__(self, slice_size: int) -> None:
        self._slice = slice_size
        self._topics: dict[str, Topic] = {}
        self.unsettled: dict[Topic, None] = {}
        """The topics with broadcasts that have not reached everybody."""
        self._scheduled = False

    def __len__(self) -> int:
        return len(self._topics)

    def names(self) -> Iterable[str]:
        """The topics with members."""
        return self._topics.keys()

    def count(self, name: str) -> int:
        """How many members the topic has."""
        topic = self._topics.get(name)
        return 0 if topic is None else len(topic.members)

    def add(self, name: str, member: "Member", policy: QueuePolicy = DISCONNECT) -> None:
        """From now on `member` receives what is broadcast on the topic, and nothing from before. The first one brings
        the policy for slow members."""
        topic = self._topics.get(name)
        if topic is None:
            topic = self._topics[name] = Topic(name, policy)
        member.cursor = topic.head
        topic.members[member] = None

    def remove(self, name: str, member: "Member") -> None:
        """Delivers what was broadcast while it was a member, then nothing more; removing twice is fine."""
        topic = self._topics.get(name)
        if topic is None or member not in topic.members:
            return
        topic.deliver(member)
        del topic.members[member]
        # A sweep may still hold it: a cursor at the end of time makes sure that nothing is newer.
        member.cursor = _GONE
        if not topic.members:
            del self._topics[name]
            self.unsettled.pop(topic, None)

    def catch_up(self, name: str, member: "Member") -> None:
        """Brings one member up to date, before something of its own is sent to it."""
        topic = self._topics.get(name)
        if topic is not None and topic in self.unsettled and member in topic.members:
            topic.deliver(member)

    def publish(self, message: TopicMessage, skip: "Member | None" = None) -> int:
        """Queues a broadcast for every member of its topic but `skip`; returns how many members there are."""
        topic = self._topics.get(message.topic)
        if topic is None:
            return 0
        topic.append(message, skip)
        self.unsettled[topic] = None
        if not self._scheduled:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._tick)
        return len(topic.members)

    def _tick(self) -> None:
        self._scheduled = False
        budget = self._slice
        for topic in list(self.unsettled):
            budget -= topic.sweep(budget)
            self.unsettled.pop(topic, None)
            if not topic.settled and topic.members:
                self.unsettled[topic] = None  # behind the others: one that is never quiet must not starve them
            if budget <= 0:
                break
        if self.unsettled and not self._scheduled:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._tick)
