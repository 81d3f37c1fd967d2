"""How much one socket may ask for: messages and joins a second (`SecurityConfig`)."""

import time
from typing import TYPE_CHECKING

from antiphon.realtime.members.bucket import Bucket
from antiphon.realtime.wire.base import JOIN
from antiphon.realtime.wire.reasons import TOO_MANY_JOINS, TOO_MANY_MESSAGES

if TYPE_CHECKING:
    from antiphon.realtime.phoenix import Phoenix

_LOAN = 32


class Allowance:
    """One for each socket. Joins count as messages too."""

    __slots__ = ("_app", "_joins", "_lent", "_messages", "_warned", "free")

    def __init__(self, app: "Phoenix") -> None:
        now, limits = time.monotonic(), app.config.security
        self._app = app
        self._messages = Bucket(limits.max_messages_per_second, 2 * limits.max_messages_per_second, now)
        self._joins = Bucket(limits.max_joins_per_second, 2 * app.limits.max_channels, now)
        self._warned = False
        self.free = self._lent = 0
        """How many messages that are no joins need not be asked for: `free` is counted down for each instead."""

    def refusal(self, event: str) -> dict[str, object] | None:
        """What to answer a frame that is one too many, None when it is not."""
        now = time.monotonic()
        lent, self.free, self._lent = self._lent - self.free, 0, 0
        if wait := self._messages.take(now, lent):
            self._app.instruments.too_many_messages.inc()
            return self._refused(TOO_MANY_MESSAGES, wait)
        self.free = self._lent = self._messages.to_lend(_LOAN)
        if event == JOIN and (wait := self._joins.take(now)):
            self._app.instruments.too_many_joins.inc()
            return self._refused(TOO_MANY_JOINS, wait)
        return None

    def _refused(self, reason: str, wait: float) -> dict[str, object]:
        if not self._warned:
            self._warned = True
            self._app.limit_log.say("realtime.rate_limited", reason=reason)
        return {"reason": reason, "retry_after_ms": max(1, round(wait * 1000))}
