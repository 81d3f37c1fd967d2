"""Finds what belongs to a topic without looking at what does not: the cost of a look-up is that of what it finds."""

from collections import Counter
from collections.abc import Iterator
from itertools import count
from typing import Generic, TypeVar

from antiphon.realtime.members.topics import TopicPattern

Target = TypeVar("Target")


class TopicIndex(Generic[Target]):
    """Targets by topic pattern, in the order in which they were added."""

    def __init__(self) -> None:
        self._numbers = count()
        self._exact: dict[str, dict[int, Target]] = {}
        self._prefixed: dict[str, dict[int, Target]] = {}
        # A topic is cut once for each length at which some prefix ends; there are few, however many patterns there are.
        self._lengths: Counter[int] = Counter()

    def __iter__(self) -> Iterator[Target]:
        for shelf in (self._exact, self._prefixed):
            for targets in shelf.values():
                yield from targets.values()

    def add(self, pattern: TopicPattern, target: Target) -> int:
        """Returns the number by which to remove it. Adding twice makes it be found twice."""
        number = next(self._numbers)
        shelf, key = self._place(pattern)
        if key not in shelf:
            shelf[key] = {}
            if shelf is self._prefixed:
                self._lengths[len(key)] += 1
        shelf[key][number] = target
        return number

    def remove(self, pattern: TopicPattern, number: int) -> Target:
        """Takes back what `add` did and returns it; raises `KeyError` when it was taken back before."""
        shelf, key = self._place(pattern)
        target = shelf[key].pop(number)
        if not shelf[key]:
            del shelf[key]
            if shelf is self._prefixed:
                self._lengths[len(key)] -= 1
                self._lengths += Counter()  # forgets lengths of which none is left
        return target

    def find(self, topic: str) -> list[Target]:
        """The targets of every pattern that covers `topic`."""
        shelves = [self._exact.get(topic)]
        shelves += [self._prefixed.get(topic[:length]) for length in self._lengths if length <= len(topic)]
        hits = [shelf for shelf in shelves if shelf]
        if len(hits) < 2:
            return list(hits[0].values()) if hits else []
        return [
            target for _, target in sorted((item for hit in hits for item in hit.items()), key=lambda item: item[0])
        ]

    def _place(self, pattern: TopicPattern) -> tuple[dict[str, dict[int, Target]], str]:
        return (self._exact, pattern.text) if pattern.prefix is None else (self._prefixed, pattern.prefix)
