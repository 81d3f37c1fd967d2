"""What is counted and said when a limit is met, or is near: whoever meets one may do so thousands of times."""

import math
from collections.abc import Callable
from typing import Any

from antiphon.realtime.instruments import Instruments
from antiphon.runtime.clock import Clock, SystemClock
from antiphon.telemetry.logs import get_logger

NEAR = 0.8
"""What part of a limit is worth a warning."""
EVERY_SECONDS = 1.0
NEAR_EVERY_SECONDS = 60.0

log = get_logger(__name__)

Say = Callable[..., None]
"""`LimitLog.say`, for what knows no application."""


class LimitLog:
    """Of one application. A line that would come too soon behind one of the same event is left out, and counted in the
    next one as `times`."""

    def __init__(self, instruments: Instruments, clock: Clock | None = None) -> None:
        self._met = instruments.limits_met
        self._clock = clock or SystemClock()
        self._said: dict[str, tuple[float, int]] = {}

    def met(self, setting: str, event: str, **fields: Any) -> None:
        """The limit of a setting was met once more."""
        self._met.labels(setting).inc()
        self.say(event, **fields)

    def say(self, event: str, **fields: Any) -> None:
        """A line about clients that do what they should not."""
        self._say(event, event, EVERY_SECONDS, fields)

    def watch(self, setting: str, used: int, limit: int) -> None:
        """Warns when so much of a limit is used that it may soon be met."""
        if used >= NEAR * limit:
            fields = {"limit": setting, "used": used, "most": limit}
            self._say(setting, "realtime.limit_near", NEAR_EVERY_SECONDS, fields)

    def _say(self, key: str, event: str, every: float, fields: dict[str, Any]) -> None:
        now = self._clock.monotonic()
        at, unsaid = self._said.get(key, (-math.inf, 0))
        if now - at < every:
            self._said[key] = at, unsaid + 1
            return
        self._said[key] = now, 0
        log.warning(event, **fields, **({"times": unsaid + 1} if unsaid else {}))
