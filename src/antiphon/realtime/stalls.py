"""Handlers that hold the event loop up: everybody waits while one of them works without waiting itself."""

import asyncio
from collections.abc import Sequence
from time import monotonic
from types import FrameType

from antiphon.realtime.members.member import Member
from antiphon.realtime.stepper import owner_of
from antiphon.telemetry.logs import get_logger
from antiphon.telemetry.metrics import Metrics
from antiphon.telemetry.pulse import LoopPulse, loop_instruments

SAMPLE_SECONDS = 5.0
SILENCE_SECONDS = 60.0
"""How long nothing more is logged about a handler that has been named."""

log = get_logger(__name__)


def handler_in(frames: Sequence[FrameType]) -> str | None:
    """The handler that runs in these frames: the class of its channel, the pattern of its topic and the event; None
    when none does."""
    for frame in frames:
        member = getattr(owner_of(frame), "__self__", None)
        if isinstance(member, Member):
            channel = getattr(member, "channel", None)
            what = type(channel).__name__ if channel is not None else "a channel"
            event = "" if channel is None else f", event {channel.event}"
            return f"handler of {what}, topic {member.route.pattern}{event}"
    return None


class StallWatch:
    """Watches the loop that it is started in. One that stands still for `limit` seconds is told of in the log, with
    the place and the handler, and counted."""

    def __init__(self, limit: float, metrics: Metrics) -> None:
        # At least two beats in anything that lasts for twice the limit, so that it cannot fall between them.
        self._pulse = LoopPulse(limit, self._stalled, named=handler_in, every=limit)
        self._limit = limit
        self._lag, self._stalls = loop_instruments(metrics)
        self._place = ""
        self._told_at = -SILENCE_SECONDS
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        self._pulse.start()
        self._sample()

    def stop(self) -> None:
        """Stopping twice is fine."""
        self._pulse.stop()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _sample(self) -> None:
        self._lag.set(self._pulse.take_worst())
        self._timer = asyncio.get_running_loop().call_later(SAMPLE_SECONDS, self._sample)

    def _stalled(self, place: str) -> None:
        """Called in the thread of the pulse while the loop stands still."""
        self._stalls.inc()
        now = monotonic()
        if place != self._place or now - self._told_at >= SILENCE_SECONDS:
            log.warning("loop.stalled", place=place, limit_s=self._limit)
            self._place, self._told_at = place, now
