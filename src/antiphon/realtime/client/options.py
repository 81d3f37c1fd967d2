"""How a client keeps time and what it holds at most, and values that are asked for anew whenever they are needed."""

import random
from collections.abc import Awaitable, Callable
from inspect import isawaitable
from typing import TypeAlias, TypeVar, cast

import msgspec

from antiphon.errors import ServiceError, ValidationError
from antiphon.realtime.client.transport import TransportName

T = TypeVar("T")

Source: TypeAlias = Callable[[], T | Awaitable[T]] | T
"""A value, or a function or coroutine function that gives the one of this moment, a token that expires for example."""


class ClientOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Times are in seconds, pauses are taken with jitter, and the last one repeats (JS-1, JS-2)."""

    timeout_seconds: float = 10.0
    """How long to wait for a connection, and for the answer to a join or a push unless that names its own time."""
    heartbeat_seconds: float = 30.0
    """Between two heartbeats; one that is unanswered when the next is due ends the connection (JS-3)."""
    reconnect_seconds: tuple[float, ...] = (0.01, 0.05, 0.1, 0.15, 0.2, 0.25, 0.5, 1.0, 2.0, 5.0)
    spread_seconds: float = 1.0
    """Over which the clients come back to a server that sent all of them away to restart, or has too much to do."""
    rejoin_seconds: tuple[float, ...] = (1.0, 2.0, 5.0, 10.0)
    """Before a channel that crashed, or whose join was refused, is joined again."""
    max_waiting: int = 1000
    """Pushes of one channel that wait for its join; more are refused."""
    max_message_bytes: int = 16 * 1024 * 1024
    """A larger message from the server ends the connection with 1009, an answer of long-poll at four times this."""

    transport: TransportName = "websocket"
    longpoll_fallback_seconds: float | None = None
    """Where no WebSocket opens and answers within this time, the client goes on by long-poll. None: it never does."""
    poll_seconds: float = 20.0
    """How long one request of long-poll may take; a server answers within 10 (JS-9)."""

    def __post_init__(self) -> None:
        if not self.reconnect_seconds or not self.rejoin_seconds:
            raise ValidationError("reconnect_seconds and rejoin_seconds name one pause at least")


class Pauses:
    """The pauses before one attempt after another."""

    __slots__ = ("_attempt", "_seconds")

    def __init__(self, seconds: tuple[float, ...]) -> None:
        self._seconds = seconds
        self._attempt = 0

    def next(self) -> float:
        """The next pause; the last one repeats."""
        pause = self._seconds[min(self._attempt, len(self._seconds) - 1)]
        self._attempt += 1
        # Jitter: thousands of clients of a restarted server must not come back in one moment.
        return pause * random.uniform(0.5, 1.5)  # noqa: S311 - no secret

    def reset(self) -> None:
        """Begins with the first one again."""
        self._attempt = 0


async def fresh(source: Source[T], what: str) -> T:
    """The value of this moment. Raises `ServiceError`, naming `what`, when the code that should give it fails."""
    if not callable(source):
        return source
    try:
        value = source()
        return cast("T", await value if isawaitable(value) else value)
    except Exception as error:
        raise ServiceError(f"the {what} could not be had: {type(error).__name__}") from error
