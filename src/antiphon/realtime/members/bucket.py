"""So many at once and so many a second: the token bucket behind every rate."""


class Bucket:
    """Holds `burst` tokens and fills by `rate` a second. Time is passed in, in seconds that never run backwards."""

    __slots__ = ("_at", "_burst", "_left", "_rate")

    def __init__(self, rate: float, burst: float, now: float) -> None:
        self._rate = rate
        self._burst = self._left = max(1.0, burst)
        self._at = now

    def take(self, now: float, lent: int = 0) -> float:
        """Takes a token and returns 0, or takes none and returns in how many seconds there is one.

        `lent` are those that were taken since the last call, of the ones `to_lend`; they count as taken now.
        """
        left = self._left + (now - self._at) * self._rate
        if left > self._burst:  # noqa: PLR1730 - messages come by, and `min` takes longer than all the rest
            left = self._burst
        left -= lent
        self._at = now
        if left >= 1:
            self._left = left - 1
            return 0.0
        self._left = left
        return (1 - left) / self._rate

    def to_lend(self, most: int) -> int:
        """How many tokens, up to `most`, may be taken without looking at the time, if `take` hears of them afterwards.
        No more than a sixteenth of all: that much of them may be found missing after a pause."""
        return min(most, int(self._left), int(self._burst / 16))
