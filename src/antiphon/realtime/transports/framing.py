"""How connections frame what they send, and what of it they share."""

from functools import cache

from prometheus_client import Counter

from antiphon.realtime.transports import deflate, frames
from antiphon.realtime.transports.backlog import Backlog
from antiphon.realtime.transports.base import Batch
from antiphon.realtime.wire.base import Serializer, TopicMessage
from antiphon.telemetry.logs import get_logger

log = get_logger(__name__)


class Framing:
    """What makes two connections take the very same bytes: the version they speak, and whether they compress."""

    __slots__ = ("_compressed", "_serializer")

    def __init__(self, serializer: Serializer, *, compressed: bool) -> None:
        self._serializer = serializer
        self._compressed = compressed

    def message(self, message: TopicMessage) -> bytes | None:
        """Made once for all connections; None where the version has no word for it (V1-6)."""
        return message.once(self, self._made)

    def batch(self, batch: Batch, unsayable: Counter) -> bytes:
        """All messages of it that can be said, in one piece; what is left out is counted."""
        made = [frame for message in batch.messages if (frame := self.message(message)) is not None]
        if len(made) < len(batch):
            log.warning("realtime.unsayable", version=self._serializer.version, left_out=len(batch) - len(made))
            unsayable.inc(len(batch) - len(made))
        return b"".join(made)

    def keep(self, batch: Batch, backlog: Backlog) -> int:
        """Adds them to what waits for a slow client; returns how many were let go of for it."""
        dropped = 0
        for message in batch.messages:
            frame = self.message(message)
            if frame is not None:
                dropped += backlog.add_message(message, frame, batch.policy)
        return dropped

    def _made(self, message: TopicMessage) -> bytes | None:
        body = message.frame(self._serializer)
        if body is None:
            return None
        return deflate.deflated_frame(body) if self._compressed else frames.message_frame(body)


@cache
def framing_of(serializer: Serializer, *, compressed: bool) -> Framing:
    """One object for all connections of a kind: it stays in the cache of the processor while a broadcast goes through a
    thousand of them that do not."""
    return Framing(serializer, compressed=compressed)
