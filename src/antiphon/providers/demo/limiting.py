"""A vendor's rate limit, as the demo server keeps it: it says in every answer what is left, and refuses above that."""

import math
import time
from collections import OrderedDict
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from msgspec import Struct

_KEYS = 1_000
"""Keys that are counted; the one not seen for longest is forgotten first."""


class DemoLimit(Struct, frozen=True):
    """So many `requests` in any window of `seconds` for a key; with `refills` one comes back after the other, else all
    of them when the window ends."""

    requests: int
    seconds: float = 60.0
    refills: bool = False


class _Left:
    def __init__(self, left: float, since: float) -> None:
        self.left = left
        self.since = since


class Limiter:
    """Counts the requests of each key."""

    def __init__(self, limit: DemoLimit) -> None:
        self._limit = limit
        self._keys: OrderedDict[str, _Left] = OrderedDict()

    def take(self, key: str, now: float | None = None) -> tuple[bool, float, float]:
        """Whether a request is let in, how many are left after it, and in how many seconds all of them are there."""
        now = time.monotonic() if now is None else now
        most, seconds = self._limit.requests, self._limit.seconds
        known = self._keys.setdefault(key, _Left(most, now))
        self._keys.move_to_end(key)
        if len(self._keys) > _KEYS:
            self._keys.popitem(last=False)
        if self._limit.refills:
            known.left, known.since = min(most, known.left + (now - known.since) * most / seconds), now
        elif now >= known.since + seconds:
            known.left, known.since = most, now
        admitted = known.left >= 1
        known.left -= admitted
        reset = (most - known.left) * seconds / most if self._limit.refills else known.since + seconds - now
        return admitted, known.left, reset

    def headers(self, left: float, reset: float, *, anthropic: bool) -> Mapping[str, str]:
        """The head of an answer, as OpenAI and most others word it, or as Anthropic does."""
        told = {"limit": str(self._limit.requests), "remaining": str(math.floor(left))}
        if not anthropic:
            return {f"x-ratelimit-{name}-requests": value for name, value in (told | {"reset": _span(reset)}).items()}
        whole = (datetime.now(UTC) + timedelta(seconds=reset)).replace(microsecond=0)
        moment = whole.isoformat().replace("+00:00", "Z")
        return {f"anthropic-ratelimit-requests-{name}": value for name, value in (told | {"reset": moment}).items()}

    def retry_after(self, left: float, reset: float) -> float:
        """The seconds until the next request is let in."""
        return (1 - left) * self._limit.seconds / self._limit.requests if self._limit.refills else reset


def _span(seconds: float) -> str:
    """As OpenAI writes it: `6m0s`, `1.5s`, `12ms`. Never less than it is."""
    whole = math.ceil(seconds * 1000)
    if whole < 1000:
        return f"{whole}ms"
    minutes, rest = divmod(whole, 60_000)
    return (f"{minutes}m" if minutes else "") + f"{rest / 1000:.3f}".rstrip("0").rstrip(".") + "s"
