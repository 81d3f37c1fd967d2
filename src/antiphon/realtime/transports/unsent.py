"""What waits to be sent, for transports that are asked for it or that wait while they send."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from antiphon.realtime.transports.backlog import DISCONNECT, Backlog
from antiphon.realtime.transports.base import Batch
from antiphon.realtime.wire.base import Serializer

if TYPE_CHECKING:
    from antiphon.realtime.phoenix import Phoenix


class Unsent:
    """Frames in the order in which they were made. While the client is `slow`, which is the owner's to say, they are
    bounded as those of a blocked WebSocket are; `overflow` is called with the limit that even so was met.
    """

    __slots__ = ("_app", "_backlog", "_overflow", "_serializer", "slow")

    def __init__(self, app: "Phoenix", serializer: Serializer, overflow: Callable[[str], None]) -> None:
        self._app = app
        self._serializer = serializer
        self._overflow = overflow
        self._backlog = Backlog(0.0)
        self.slow = False

    def __len__(self) -> int:
        return len(self._backlog)

    @property
    def size(self) -> int:
        """Bytes of the frames."""
        return self._backlog.size

    def add(self, frame: bytes) -> None:
        """A frame for this client alone."""
        self._backlog.add(frame)
        self._bound()

    def add_batch(self, batch: Batch) -> None:
        """Shared broadcasts; those that the serializer has no word for are left out (V1-6)."""
        lenient = self.slow and batch.policy is not DISCONNECT
        dropped = 0
        for message in batch.messages:
            frame = message.frame(self._serializer)
            if frame is None:
                continue
            if lenient:
                dropped += self._backlog.add_message(message, frame, batch.policy)
            else:
                self._backlog.add(frame)
        self._backlog.tell(dropped, self._app.instruments.dropped)
        self._bound()

    def take(self) -> list[bytes]:
        """Everything that waits."""
        frames, self._backlog = self._backlog.frames(), Backlog(0.0)
        return frames

    def _bound(self) -> None:
        size, count = self._app.limits.blocked_bytes, self._app.limits.blocked_messages
        if self.slow and (limit := self._backlog.bound(size, count, self._app.instruments.dropped)):
            self._overflow(limit)
