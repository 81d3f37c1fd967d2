"""The account of what a broker could not carry."""

from typing import Literal

from antiphon.realtime.brokers.base import count_dropped
from antiphon.telemetry.logs import get_logger
from antiphon.telemetry.metrics import Metrics, get_metrics

Reason = Literal["down", "full", "large", "refused", "damaged"]

log = get_logger(__name__)


class Losses:
    """Counts every message that was not carried. The log names the first of each reason, until `forget`."""

    def __init__(self, broker: str, metrics: Metrics | None) -> None:
        self._broker = broker
        self._named: set[str] = set()
        self._dropped = count_dropped(metrics or get_metrics())

    def add(self, reason: Reason, **about: object) -> None:
        """One more; `about` goes onto the line in the log."""
        self._dropped.labels(self._broker, reason).inc()
        if reason not in self._named:
            self._named.add(reason)
            log.warning("broker.dropping", broker=self._broker, reason=reason, **about)

    def forget(self) -> None:
        """What is lost from now on is news again."""
        self._named.clear()
