"""How much work a database has and how long it takes, the same for every database."""

import asyncio
from time import monotonic
from typing import Any

from antiphon.errors import ServiceError
from antiphon.telemetry.metrics import Metrics, get_metrics

_CLOSED = "The database is closed: start the store before using it, and use nothing of it after it was stopped."
_FULL = "Too much work waits for the database: try again in a moment."


class Meter:
    """Counts units of work of one kind, `store-reader` or `store-writer`, from asking to answer."""

    def __init__(self, lane: str, metrics: Metrics | None) -> None:
        metrics = metrics or get_metrics()
        self.waiting = 0
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
        if future.done():  # its caller was cancelled
            return
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(value)


def admit(waiting: int, limit: int, *, running: bool) -> None:
    """Refuses work at once with `ServiceError` where there is no database for it or too much of it already: one that
    cannot keep up must not fill the memory."""
    if not running:
        raise ServiceError(_CLOSED)
    if waiting >= limit:
        raise ServiceError(_FULL)
