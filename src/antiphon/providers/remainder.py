"""How much may still be taken of one limit: of what a vendor tells of, and of what the settings allow."""

from collections import deque
from math import inf

from antiphon.providers.base import RateLimit

_PERIOD = 60.0
LONGEST_WAIT = 3_600.0
"""Seconds. After that one request finds out whether a vendor meant it."""

_LONGEST_PERIOD = 60.0
"""Seconds. So long after a limit was reset it is taken to be reset again, should no answer tell more."""


class Count:
    """What was taken, and how much of it has been answered, or will not be. What lies between is under way."""

    __slots__ = ("answered", "taken")

    def __init__(self) -> None:
        self.taken = 0
        self.answered = 0


class Remainder:
    """What is left of a limit that a vendor tells of, as nearly as can be known from here.

    An answer tells what was left when its request was looked at, not which of the requests under way were looked at
    before. So the least is believed that may be true: what it says, less all that was not answered when its request
    left. The best of such bounds counts, less what was taken since, and never more than the vendor says itself, who
    may have others to serve. Where a vendor `refills` its limits all the time (`RateLimit.reset` is when it would be
    full again) so does this. Times are of one clock, in seconds.
    """

    __slots__ = ("_at", "_count", "_left", "_most", "_period", "_rate", "_refills", "_reset", "_rolled")

    def __init__(self, count: Count, *, refills: bool) -> None:
        self._count = count
        self._refills = refills
        self._most = inf
        self._left = inf
        self._rate = 0.0
        self._reset = inf
        self._period = 0.0
        self._rolled = -inf
        self._at = 0.0

    def take(self, amount: int, now: float) -> None:
        self._left = self.left(now) - min(amount, self._most)

    def learn(self, told: RateLimit, amount: int, answered: int, flight: float, now: float) -> None:
        """From the answer to a request that took `amount` when so much had been answered, `flight` seconds ago."""
        known = self.left(now)
        self._period = min(_LONGEST_PERIOD, max(self._period, told.reset))
        if now - flight < self._rolled and now - flight + told.reset <= self._rolled + self._period / 10:
            return  # it was looked at before the limit was whole again
        if self._refills:
            # What is left is told in whole numbers, so there may be nearly one more than it says.
            least = max(0.0, told.limit - told.left - 1) / told.reset
            self._rate = max(self._rate if told.limit == self._most else 0.0, least)
        self._most = told.limit
        self._reset = now + min(told.reset, LONGEST_WAIT)
        sure = told.left - max(0, self._count.taken - amount - answered)
        self._left = sure if known == inf else max(sure, min(known, told.left + self._rate * flight))

    def doubt(self) -> None:
        """The vendor refused what was thought to be there: how fast it comes back is learnt anew."""
        self._rate = 0.0

    def left(self, now: float) -> float:
        if now >= self._reset:
            self._left = self._most - (self._count.taken - self._count.answered)
            self._reset, self._rolled = now + self._period, now
        elif self._rate:
            self._left = min(self._most, self._left + self._rate * (now - self._at))
        self._at = now
        return self._left

    def wait(self, amount: int, now: float) -> float:
        """The seconds until that much is there; more than there ever is, and the vendor may say so itself."""
        missing = min(amount, self._most) - self.left(now)
        if missing <= 0:
            return 0.0
        until = self._reset - now
        return min(until, missing / self._rate) if self._rate else until


class MinuteWindow:
    """So much in any minute: what the settings allow, whatever kind of minute the vendor counts in."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._spent = 0
        self._taken: deque[tuple[float, int]] = deque()

    def take(self, amount: int, now: float) -> None:
        self._spent += amount
        self._taken.append((now, amount))

    def wait(self, amount: int, now: float) -> float:
        """The seconds until that much may be taken; for more than a minute allows, until nothing is taken."""
        while self._taken and self._taken[0][0] + _PERIOD <= now:
            self._spent -= self._taken.popleft()[1]
        missing = self._spent + min(amount, self._most) - self._most
        if missing <= 0:
            return 0.0
        for at, taken in self._taken:
            missing -= taken
            if missing <= 0:
                return at + _PERIOD - now
        return _PERIOD
