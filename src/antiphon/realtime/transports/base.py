"""What a socket needs from whatever carries its frames."""

from collections.abc import Callable
from typing import Protocol


class Batch:
    """Broadcast bodies that many members receive alike; what one transport makes of them is made once.

    `framed` belongs to the WebSocket transport: the very same bytes object is handed to every member.
    """

    __slots__ = ("bodies", "framed")

    def __init__(self, bodies: list[bytes]) -> None:
        self.bodies = bodies
        self.framed: bytes | None = None


class Transport(Protocol):
    """One live connection. None of these ever waits; all run on the loop's thread."""

    @property
    def send_batch(self) -> Callable[[Batch], None]:
        """Queues shared bodies, in order with everything sent before."""

    def send(self, body: bytes) -> None:
        """Queues one encoded frame for this client alone."""

    def close(self, code: int) -> None:
        """Says goodbye with a close code and ends the connection soon; safe to call twice."""

    def hold_reading(self) -> None:
        """Stops taking input until `resume_reading`."""

    def resume_reading(self) -> None:
        """Takes input again."""
