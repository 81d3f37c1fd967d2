"""What is counted and said where something may happen thousands of times: a limit that is met or near, a handler that
fails."""

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
"""`SparseLog.say`, for what knows no application."""


class SparseLog:
    """A line that would come within `every` seconds of one of the same kind is left out, and counted in the next as
    `times`."""

    def __init__(self, clock: Clock | None = None, every: float = EVERY_SECONDS) -> None:
        self._clock = clock or SystemClock()
        self._every = every
        self._said: dict[tuple[str, str], tuple[float, int]] = {}

    def say(self, event: str, **fields: Any) -> None:
        """A line about clients, or other nodes, that do what they should not."""
        self._say(event, "", self._every, log.warning, fields)

    def failed(self, event: str, of: str = "", **fields: Any) -> None:
        """A line about code of the application that fails as often as a client likes. Each `of`, a route pattern, has
        lines of its own: what fails in one place does not hide what fails in another."""
        self._say(event, of, self._every, log.error, fields)

    def _say(self, event: str, of: str, every: float, write: Say, fields: dict[str, Any]) -> None:
        now = self._clock.monotonic()
        at, unsaid = self._said.get((event, of), (-math.inf, 0))
        if now - at < every:
            self._said[event, of] = at, unsaid + 1
            return
        self._said[event, of] = now, 0
        write(event, **fields, **({"times": unsaid + 1} if unsaid else {}))


class LimitLog(SparseLog):
    """Of one application."""

    def __init__(self, instruments: Instruments, clock: Clock | None = None) -> None:
        super().__init__(clock)
        self._met = instruments.limits_met

    def met(self, setting: str, event: str, **fields: Any) -> None:
        """The limit of a setting was met once more."""
        self._met.labels(setting).inc()
        self.say(event, **fields)

    def watch(self, setting: str, used: int, limit: int) -> None:
        """Warns when so much of a limit is used that it may soon be met."""
        if used >= NEAR * limit:
            fields = {"limit": setting, "used": used, "most": limit}
            self._say("realtime.limit_near", setting, NEAR_EVERY_SECONDS, log.warning, fields)
