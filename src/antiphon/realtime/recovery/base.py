"""The contract of the logs, and how much they keep."""

from collections.abc import Awaitable
from typing import Protocol

import msgspec

from antiphon.realtime.wire.base import Position, TopicMessage


class Recovery(msgspec.Struct, frozen=True, kw_only=True):
    """How much of a topic is kept: as many messages, and none older than so many seconds. A topic that is quiet for
    that long is forgotten."""

    messages: int = 1000
    seconds: float = 300.0


class Missed(msgspec.Struct, frozen=True):
    """What came after a position, up to `position`, which is where the log stands. Without `complete` that is not all,
    and `messages` is empty."""

    messages: tuple[TopicMessage, ...]
    complete: bool
    position: Position


class TopicLogs(Protocol):
    """The logs of all topics. Raises `ServiceError` where they cannot be reached."""

    shared: bool
    """Whether all nodes have the same logs: a message is appended once then, by the node that publishes it."""

    def append(self, message: TopicMessage, keep: Recovery) -> Position | Awaitable[Position]:
        """Where the message stands now. Awaitables are done in the order of the calls."""
        ...

    async def since(self, topic: str, seen: Position | None, keep: Recovery) -> Missed:
        """What came after `seen`; with None only where the log stands."""
        ...

    async def restart(self, topic: str) -> None:
        """Gives the log of the topic another epoch: something was broadcast that it does not have."""
        ...

    async def start(self) -> None: ...

    async def stop(self) -> None: ...
