"""How much work a database has and how long it takes, the same for every database."""

import asyncio
import math
from time import monotonic
from typing import Any

from antiphon.errors import ServiceError
from antiphon.telemetry.logs import get_logger
from antiphon.telemetry.metrics import Metrics, get_metrics

_CLOSED = "The database is closed: start the store before using it, and use nothing of it after it was stopped."
_FULL = "Too much work waits for the database: try again in a moment."

_QUIET_SECONDS = 1.0
"""Between two lines of the log: what fails for one fails for all."""

log = get_logger(__name__)


class Meter:
    """Counts units of work of one kind, `store-reader` or `store-writer`, from asking to answer, and says when the
    database fails them.

    `failed` is what the last of them failed of that did so, until whoever finds it mended takes it away."""

    def __init__(self, lane: str, metrics: Metrics | None) -> None:
        metrics = metrics or get_metrics()
        self.waiting = 0
        self.failed: ServiceError | None = None
        self._lane = lane
        self._said_at = -math.inf
        self._unsaid = 0
        self._seconds = metrics.histogram(
            "antiphon_store_seconds", "From asking the store to its answer.", ("lane",)
        ).labels(lane)
        self._failures = metrics.counter(
            "antiphon_store_failures_total", "Units of work that raised an error.", ("lane",)
        ).labels(lane)
        metrics.gauge("antiphon_store_waiting", "Units of work queued or running.", ("lane",)).labels(
            lane
        ).set_function(lambda: self.waiting)

    def settle(self, future: "asyncio.Future[Any]", since: float, value: Any, error: Exception | None) -> None:
        """Gives whoever waits since then (monotonic seconds) the value or the error, unless nobody waits any more."""
        self.waiting -= 1
        self._seconds.observe(monotonic() - since)
        if error is not None:
            self._failures.inc()
        if isinstance(error, ServiceError):
            self.failed = error
            self._say(error)
        if future.done():  # its caller was cancelled
            return
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(value)

    def _say(self, error: ServiceError) -> None:
        now = monotonic()
        self._unsaid += 1
        if now - self._said_at >= _QUIET_SECONDS:
            log.warning("store.unit_failed", lane=self._lane, reason=str(error), times=self._unsaid)
            self._said_at, self._unsaid = now, 0


def admit(waiting: int, limit: int, *, running: bool) -> None:
    """Refuses work at once with `ServiceError` where there is no database for it or too much of it already: one that
    cannot keep up must not fill the memory."""
    if not running:
        raise ServiceError(_CLOSED)
    if waiting >= limit:
        raise ServiceError(_FULL)
