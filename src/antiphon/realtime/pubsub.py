"""Messages between parts of a program that do not know each other: `publish` to a topic, `subscribe` to a pattern."""

import asyncio
import inspect
from collections import deque
from collections.abc import Awaitable, Callable
from threading import Lock
from typing import Any
from weakref import WeakKeyDictionary

from antiphon.realtime.index import TopicIndex
from antiphon.realtime.members.topics import TopicPattern
from antiphon.realtime.stepper import Stepper
from antiphon.runtime.current import Current
from antiphon.telemetry.logs import get_logger
from antiphon.telemetry.metrics import Metrics, get_metrics

log = get_logger(__name__)

Subscriber = Callable[[str, Any], Awaitable[None] | None]


class PubSub:
    """At-most-once delivery to whoever is subscribed when a message is published; in order for each subscriber.

    A subscriber runs on the loop it subscribed from, one message at a time, and delays nobody: what it has not handled
    waits, up to `backlog` messages, beyond which its oldest are dropped and counted. Any thread may publish.
    """

    def __init__(self, backlog: int = 1000, *, metrics: Metrics | None = None) -> None:
        self.forward: Callable[[str, Any], object] | None = None
        """Takes what is published here to other nodes, while there are any; messages are JSON then."""
        self._backlog = backlog
        self._lock = Lock()
        self._subscriptions: TopicIndex[_Subscription] = TopicIndex()
        self._numbers: dict[tuple[str, Subscriber], list[int]] = {}
        self._steppers: WeakKeyDictionary[asyncio.AbstractEventLoop, Stepper] = WeakKeyDictionary()
        metrics = metrics or get_metrics()
        self._dropped = metrics.counter("antiphon_pubsub_dropped_total", "Messages a slow subscriber never saw.")
        self._failed = metrics.counter("antiphon_pubsub_failed_total", "Messages a subscriber failed on.")

    async def subscribe(self, pattern: str, handler: Subscriber) -> None:
        """Calls `handler(topic, message)` for a topic, or for all that begin with what stands before a final `*`.

        Subscribing twice delivers twice (BC-7). What the handler raises is logged and counted, and harms nobody. The
        handler must be hashable, as functions and methods are.
        """
        self.subscribe_now(pattern, handler)

    def subscribe_now(self, pattern: str, handler: Subscriber) -> None:
        """`subscribe` for callers that are no coroutine, on the loop that runs."""
        loop, parsed = asyncio.get_running_loop(), TopicPattern(pattern)
        with self._lock:
            stepper = self._steppers.setdefault(loop, Stepper())
            number = self._subscriptions.add(parsed, _Subscription(parsed, handler, loop, stepper, self))
            self._numbers.setdefault((pattern, handler), []).append(number)

    async def unsubscribe(self, pattern: str, handler: Subscriber) -> None:
        """Removes every subscription of `handler` to exactly this pattern, with what waits; none is fine (PS-4)."""
        self.unsubscribe_now(pattern, handler)

    def unsubscribe_now(self, pattern: str, handler: Subscriber) -> None:
        """`unsubscribe` for callers that are no coroutine, in any thread."""
        with self._lock:
            numbers = self._numbers.pop((pattern, handler), ())
            ended = [self._subscriptions.remove(TopicPattern(pattern), number) for number in numbers]
        for subscription in ended:
            subscription.forget()

    async def publish(self, topic: str, message: Any) -> int:
        """Hands `message` to every subscriber of the topic on every node, waits for none, returns how many there are in
        this process. Raises `ValidationError` for what is no JSON where there are other nodes."""
        return self.publish_now(topic, message)

    def publish_now(self, topic: str, message: Any) -> int:
        """`publish` for callers that are no coroutine, in any thread."""
        if self.forward is not None:
            self.forward(topic, message)
        return self.publish_here(topic, message)

    def publish_here(self, topic: str, message: Any) -> int:
        """`publish_now` to the subscribers of this process alone."""
        with self._lock:
            found = self._subscriptions.find(topic)
        for subscription in found:
            subscription.offer(topic, message, self._backlog)
        return len(found)

    async def stop(self) -> None:
        """Forgets all subscribers and cancels what those of this loop still do."""
        with self._lock:
            ended, self._subscriptions = list(self._subscriptions), TopicIndex()
            self._numbers.clear()
            stepper = self._steppers.pop(asyncio.get_running_loop(), None)
        for subscription in ended:
            subscription.forget()
        if stepper is not None:
            await stepper.stop()

    def count_dropped(self) -> None:
        """A subscriber's backlog was full."""
        self._dropped.inc()

    def count_failed(self) -> None:
        """A subscriber raised."""
        self._failed.inc()


class _Subscription:
    __slots__ = ("_busy", "_loop", "_owner", "_stepper", "_waiting", "handler", "pattern")

    def __init__(
        self,
        pattern: TopicPattern,
        handler: Subscriber,
        loop: asyncio.AbstractEventLoop,
        stepper: Stepper,
        owner: PubSub,
    ) -> None:
        self.pattern = pattern
        self.handler = handler
        self._loop = loop
        self._stepper = stepper
        self._owner = owner
        self._waiting: deque[tuple[str, Any]] = deque()
        self._busy = False

    def offer(self, topic: str, message: Any, backlog: int) -> None:
        if len(self._waiting) >= backlog:
            self._waiting.popleft()
            self._owner.count_dropped()
        self._waiting.append((topic, message))
        if _is_running_here(self._loop):
            self._work()
        elif not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._work)

    def forget(self) -> None:
        """Drops what waits."""
        self._waiting.clear()

    def _work(self, _: object = None) -> None:
        while self._waiting and not self._busy:
            topic, message = self._waiting.popleft()
            self._busy = True
            task = self._stepper.run(self._call(topic, message), self._handled)
            if task is not None:
                task.add_done_callback(self._work)

    async def _call(self, topic: str, message: Any) -> None:
        answer = self.handler(topic, message)
        if inspect.isawaitable(answer):
            await answer

    def _handled(self, _result: Any, error: BaseException | None) -> None:
        self._busy = False
        if error is not None and not isinstance(error, asyncio.CancelledError):
            self._owner.count_failed()
            log.error("pubsub.subscriber_failed", pattern=self.pattern.text, exc_info=error)


def _is_running_here(loop: asyncio.AbstractEventLoop) -> bool:
    try:
        return asyncio.get_running_loop() is loop
    except RuntimeError:
        return False


_current = Current(PubSub)


def get_pubsub() -> PubSub:
    """The running application's; where none runs, a process default which the first one to start adopts."""
    return _current.get()


def adopt(pubsub: PubSub | None = None) -> PubSub:
    """The one a starting application is to use; `get_pubsub` returns it unless another came first."""
    return _current.adopt(pubsub)


def release(pubsub: PubSub) -> None:
    """Called by the application that stopped; its subscriptions stay for the next."""
    _current.release(pubsub)
