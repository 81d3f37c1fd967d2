"""Log lines about limits, which whoever meets one may do thousands of times."""

from typing import Any

from antiphon.telemetry.logs import get_logger

log = get_logger(__name__)


class Complaints:
    """Says each thing once per topic, until `clear`."""

    def __init__(self) -> None:
        self._made: set[tuple[str, str]] = set()

    def make(self, event: str, topic: str, **more: Any) -> None:
        if (event, topic) not in self._made:
            self._made.add((event, topic))
            log.warning(event, topic=topic, **more)

    def clear(self) -> None:
        """From now on everything is worth saying again."""
        self._made.clear()
