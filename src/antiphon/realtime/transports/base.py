"""What a socket needs from whatever carries its frames."""

from collections.abc import Callable, Hashable
from typing import Protocol

from antiphon.realtime.transports.backlog import DISCONNECT, QueuePolicy
from antiphon.realtime.wire.base import Serializer, TopicMessage


class Batch:
    """Broadcasts that many members receive alike; what one transport makes of them is made once.

    `framed` belongs to the WebSocket transport: the very same bytes object is handed to every member that speaks the
    same version in the same way.
    """

    __slots__ = ("framed", "messages", "policy")

    def __init__(self, messages: list[TopicMessage], policy: QueuePolicy = DISCONNECT) -> None:
        self.messages = messages
        self.policy = policy
        self.framed: dict[Hashable, bytes] = {}

    def frames(self, serializer: Serializer) -> list[bytes]:
        """The messages in one version; those it cannot say are left out (V1-6)."""
        return [frame for message in self.messages if (frame := message.frame(serializer)) is not None]

    def __len__(self) -> int:
        return len(self.messages)

    @property
    def size(self) -> int:
        """Bytes of the payloads."""
        return sum(len(message.raw) for message in self.messages)


class Transport(Protocol):
    """One live connection. None of these ever waits; all run on the loop's thread."""

    @property
    def send_batch(self) -> Callable[[Batch], None]:
        """Queues shared broadcasts, in order with everything sent before."""

    def send(self, body: bytes) -> None:
        """Queues one encoded frame for this client alone; a `Binary` one goes as a binary message."""

    def close(self, code: int) -> None:
        """Says goodbye with a close code and ends the connection soon; safe to call twice."""

    def hold_reading(self) -> None:
        """Stops taking input until `resume_reading`."""

    def resume_reading(self) -> None:
        """Takes input again."""
