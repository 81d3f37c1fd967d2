"""So many at once and so many a second: the token bucket behind every rate."""


class Bucket:
    """Holds `burst` tokens and fills by `rate` a second. Time is passed in, in seconds that never run backwards."""

    __slots__ = ("_at", "_burst", "_left", "_rate")

    def __init__(self, rate: float, burst: float, now: float) -> None:
        self._rate = rate
        self._burst = self._left = max(1.0, burst)
        self._at = now

    def take(self, now: float) -> float:
        """Takes a token and returns 0, or takes none and returns in how many seconds there is one."""
        left = self._left + (now - self._at) * self._rate
        if left > self._burst:  # noqa: PLR1730 - every message comes by, and `min` takes longer than all the rest
            left = self._burst
        self._at = now
        if left >= 1:
            self._left = left - 1
            return 0.0
        self._left = left
        return (1 - left) / self._rate
