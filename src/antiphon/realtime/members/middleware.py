"""What stands between a socket and its channels: who may join, what is logged, how much may be said."""

import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from antiphon.realtime.channel import UNHANDLED, Channel, Handler, Rejected
from antiphon.realtime.instruments import rate_limited
from antiphon.realtime.members.bucket import Bucket
from antiphon.runtime.clock import Clock, SystemClock
from antiphon.telemetry.logs import get_logger
from antiphon.telemetry.metrics import Metrics, get_metrics

if TYPE_CHECKING:
    from antiphon.realtime.members.socket import Socket

Proceed = Callable[[Any], Awaitable[Any]]
"""Goes on with a payload, this one or another, and returns the answer of what comes behind."""

Authenticate = Callable[[Any], Awaitable[Any]]

log = get_logger(__name__)


class Middleware:
    """Subclass it and override what it is for. `Phoenix.use_middleware` puts it before every channel, and
    `Channel.use_middleware` before one class of them; the first that was added is the outermost.

    `channel` has the topic, the socket, the assigns and, of a message, the event. To answer without going on, return
    the answer or raise `Rejected`; any other exception is what it would be in the channel itself.
    """

    async def join(self, payload: Any, channel: Channel, proceed: Proceed) -> Any:  # noqa: ARG002 - for those that do
        """Around `Channel.on_join`."""
        return await proceed(payload)

    async def message(self, payload: Any, channel: Channel, proceed: Proceed) -> Any:  # noqa: ARG002 - the same
        """Around the handler of an event, also of one that nothing handles."""
        return await proceed(payload)


async def join(channel: Channel, payload: Any) -> Any:
    """Runs `on_join` behind all middleware."""
    if not channel.app.middleware and not channel.middleware:
        return await channel.on_join(payload, channel.socket)
    return await _around(channel, Middleware.join, lambda given: channel.on_join(given, channel.socket))(payload)


async def handle(channel: Channel, handler: Handler | None, payload: Any) -> Any:
    """Runs a handler, or else `on_message`, behind all middleware."""

    async def last(given: Any) -> Any:
        if handler is not None:
            return await handler(channel, given, channel.socket)
        if type(channel).on_message is Channel.on_message:
            raise Rejected(UNHANDLED)
        return await channel.on_message(given, channel.socket)

    return await _around(channel, Middleware.message, last)(payload)


def _around(channel: Channel, step: Any, last: Proceed) -> Proceed:
    """`last` behind one step of every middleware that has a step of its own there."""
    for one in reversed((*channel.app.middleware, *channel.middleware)):
        if getattr(type(one), step.__name__) is not step:
            last = partial(getattr(one, step.__name__), channel=channel, proceed=last)
    return last


class AuthMiddleware(Middleware):
    """Lets in whom `authenticate(payload)` knows: a mapping it returns is added to the assigns of the channel, anything
    else that is true becomes `assigns["user"]`. For None, and whatever else is false, the join is refused with
    `{"reason": "unauthorized"}`.
    """

    def __init__(self, authenticate: Authenticate) -> None:
        self._authenticate = authenticate

    async def join(self, payload: Any, channel: Channel, proceed: Proceed) -> Any:
        """See `Middleware`."""
        found = await self._authenticate(payload)
        if not found:
            raise Rejected({"reason": "unauthorized"})
        channel.assigns.update(found if isinstance(found, dict) else {"user": found})
        return await proceed(payload)


class LoggingMiddleware(Middleware):
    """A log line for each join and message, with topic, event, outcome and time; never with what was said."""

    async def join(self, payload: Any, channel: Channel, proceed: Proceed) -> Any:
        """See `Middleware`."""
        return await self._logged("realtime.join", payload, channel, proceed)

    async def message(self, payload: Any, channel: Channel, proceed: Proceed) -> Any:
        """See `Middleware`."""
        return await self._logged("realtime.message", payload, channel, proceed)

    async def _logged(self, what: str, payload: Any, channel: Channel, proceed: Proceed) -> Any:
        began, outcome = time.perf_counter(), "crashed"
        try:
            answer = await proceed(payload)
            outcome = "ok"
        except Rejected:
            outcome = "rejected"
            raise
        finally:
            elapsed = round((time.perf_counter() - began) * 1000, 1)
            known = channel.event in channel.handlers
            event = channel.event if known else "*"  # anything else is text that a client made up
            log.info(what, topic=channel.topic[:200], message=event, outcome=outcome, elapsed_ms=elapsed)
        return answer


class RateLimitMiddleware(Middleware):
    """Refuses messages of a socket beyond `max_messages_per_second`, of which as many may come at once, with
    `{"reason": "rate limited", "retry_after_ms": n}`. One that joins anew does not begin anew.
    """

    def __init__(
        self, max_messages_per_second: float = 10, *, clock: Clock | None = None, metrics: Metrics | None = None
    ) -> None:
        self._rate = max_messages_per_second
        self._clock = clock or SystemClock()
        self._buckets: WeakKeyDictionary[Socket, Bucket] = WeakKeyDictionary()
        self._refused = rate_limited(metrics or get_metrics()).labels("middleware")

    async def message(self, payload: Any, channel: Channel, proceed: Proceed) -> Any:
        """See `Middleware`."""
        now = self._clock.monotonic()
        bucket = self._buckets.get(channel.socket)
        if bucket is None:
            bucket = self._buckets[channel.socket] = Bucket(self._rate, self._rate, now)
        if wait := bucket.take(now):
            self._refused.inc()
            raise Rejected({"reason": "rate limited", "retry_after_ms": round(wait * 1000)})
        return await proceed(payload)
