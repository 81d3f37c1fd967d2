"""Telling that messages may have been lost."""

import asyncio
from collections.abc import Callable, Iterable
from typing import Any

from antiphon.telemetry.logs import get_logger

log = get_logger(__name__)

GAP_SECONDS = 1.0
"""Gaps that follow each other so fast are told as two: the first, and all the others."""


class Gaps:
    """Tells its handlers of a gap: at once, and of those that follow closely together when they are over."""

    def __init__(self) -> None:
        self.handlers: list[Callable[[], object]] = []
        self._timer: asyncio.TimerHandle | None = None
        self._again = False

    def tell(self) -> None:
        if self._timer is not None:
            self._again = True
            return
        self._timer = asyncio.get_running_loop().call_later(GAP_SECONDS, self._over)
        call_all(self.handlers)

    def close(self) -> None:
        """Tells no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._again = False

    def _over(self) -> None:
        self._timer = None
        if self._again:
            self._again = False
            self.tell()


def call_all(handlers: Iterable[Callable[..., object]], *arguments: Any) -> None:
    """Each of them, also when one before it fails, which is logged."""
    for handler in handlers:
        try:
            handler(*arguments)
        except Exception:
            log.exception("cluster.handler_failed", kind="status")
