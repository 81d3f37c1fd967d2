"""When the next token is due."""

from collections.abc import Callable


class Pace:
    """Deadlines for a stream at `period` seconds a token; None for as fast as possible.

    Deadlines are absolute: a reader or a loop that was late gets the tokens that are due at once, so that a slow
    moment does not stretch the stream.
    """

    def __init__(self, period: float | None, now: Callable[[], float]) -> None:
        self._period = period
        self._now = now
        self._due = now()

    def wait(self) -> float:
        """Seconds to wait before the next token; 0 when it is due."""
        if not self._period:
            return 0.0
        self._due += self._period
        return max(0.0, self._due - self._now())


def period_of(rate: float | None, delay: float | None) -> float | None:
    """Seconds a token: the delay that the request asks for, otherwise 1 / rate, None without a rate."""
    return delay if delay is not None else (1 / rate if rate else None)
