"""How many may connect: so many in a second, and so many in all.

After a restart thousands of clients come back within milliseconds (JS-1), each with a hand-shake that costs more than a
thousand messages. Whoever is one too many is told so before anything else is done for it.
"""

import math
from collections.abc import Callable
from typing import NoReturn

from antiphon.realtime.admission.connect import Refused
from antiphon.realtime.config import RealtimeSettings
from antiphon.realtime.instruments import Instruments
from antiphon.realtime.limits import LimitLog
from antiphon.realtime.members.bucket import Bucket
from antiphon.runtime.clock import Clock
from antiphon.telemetry.logs import get_logger

_LONGEST_WAIT = 30.0
_FULL_WAIT = 5.0
_STOPPING_WAIT = 2

log = get_logger(__name__)


class ConnectGate:
    """Lets `burst` in at once and `rate` a second."""

    def __init__(self, rate: float, burst: float, clock: Clock) -> None:
        self._rate = rate
        self._clock = clock
        self._at = clock.monotonic()
        self._bucket = Bucket(rate, burst, self._at)
        self._turned_away = 0.0

    def enter(self) -> float:
        """0 for whoever may pass, else in how many seconds to ask again.

        Those who are turned away together are told times as far apart as the rate, so that they do not all come back
        together.
        """
        now = self._clock.monotonic()
        self._turned_away = max(0.0, self._turned_away - (now - self._at) * self._rate)
        self._at = now
        if not self._bucket.take(now):
            return 0.0
        self._turned_away += 1
        return min(_LONGEST_WAIT, self._turned_away / self._rate)


def stopping() -> Refused:
    """For whoever asks a server that takes nobody in any more: there is another one, or will be soon."""
    return Refused(503, headers={"retry-after": str(_STOPPING_WAIT)})


class Entrance:
    """Both limits of one process. `connections` tells how many there are, the one that asks included."""

    def __init__(
        self,
        config: RealtimeSettings,
        instruments: Instruments,
        limit_log: LimitLog,
        connections: Callable[[], int],
        clock: Clock,
    ) -> None:
        rate = config.security.max_connects_per_second
        self._gate = ConnectGate(rate, max(1.0, rate), clock)
        self._limit = config.transport.max_connections
        self._instruments = instruments
        self.limit_log = limit_log
        """For what is said of whoever is not let in: a page that is refused tries again and again."""
        self._connections = connections
        self._clock = clock
        self.closed = False
        """While the server stops nobody is let in."""
        self._unsaid = 0
        self._said_at = -math.inf

    def enter(self) -> None:
        """Raises `Refused` (503, with Retry-After) for one too many."""
        if self.closed:
            raise stopping()
        connections = self._connections()
        self.limit_log.watch("max_connections", connections, self._limit)
        if connections > self._limit:
            self._turn_away("connections", _FULL_WAIT)
        if wait := self._gate.enter():
            self._turn_away("rate", wait)

    def _turn_away(self, limit: str, wait: float) -> NoReturn:
        self._instruments.turned_away.labels(limit).inc()
        self._unsaid += 1
        now = self._clock.monotonic()
        if now - self._said_at >= 1:
            log.warning("realtime.connections_turned_away", limit=limit, count=self._unsaid)
            self._unsaid, self._said_at = 0, now
        raise Refused(503, headers={"retry-after": str(math.ceil(wait))})
