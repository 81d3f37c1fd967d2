"""Single flight: of those who want the same thing at the same time, one computes it and all get what came of it."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Iterator
from concurrent.futures import CancelledError, Future
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from functools import partial
from threading import Lock
from typing import Any, TypeVar

T = TypeVar("T")

_inside: ContextVar[tuple["_Ticket", ...]] = ContextVar("antiphon_flights", default=())
"""The flights that the running code is part of: who waits for one of those waits for itself."""


class _Ticket:
    """One flight; equal to nothing else."""


class Flights:
    """For coroutines. Flights of one event loop are not joined from another."""

    def __init__(self) -> None:
        self._running: dict[tuple[asyncio.AbstractEventLoop, Hashable], tuple[asyncio.Task[Any], _Ticket]] = {}

    async def join(self, key: Hashable, make: Callable[[], Awaitable[T]]) -> T:
        """What `make` gives, called once for all who join while it runs; what it raises is raised to all of them.

        It runs on when those who wait give up. Raises `RecursionError` when `make` asks for its own key.
        """
        place = (asyncio.get_running_loop(), key)
        if place in self._running:
            task, ticket = self._running[place]
            _refuse_itself(ticket)
        else:
            with _taking_off() as ticket:
                task = asyncio.create_task(_awaited(make), name="single flight")
            self._running[place] = task, ticket
            task.add_done_callback(partial(self._land, place))
        return await asyncio.shield(task)

    def under_way(self, key: Hashable) -> bool:
        """Whether the running `make` is the one that those who ask for `key` now would join."""
        flight = self._running.get((asyncio.get_running_loop(), key))
        return flight is not None and flight[0] is asyncio.current_task()

    def forget(self, key: Hashable) -> None:
        """Who asks for it from now on is not given what a flight under way will find."""
        for place in [place for place in self._running if place[1] == key]:
            del self._running[place]

    def _land(self, place: tuple[asyncio.AbstractEventLoop, Hashable], task: asyncio.Task[Any]) -> None:
        if place in self._running and self._running[place][0] is task:
            del self._running[place]
        if not task.cancelled():
            task.exception()  # all who wanted to know may have gone


class ThreadFlights:
    """For plain functions, in any number of threads."""

    def __init__(self) -> None:
        self._running: dict[Hashable, tuple[Future[Any], _Ticket]] = {}
        self._lock = Lock()

    def join(self, key: Hashable, make: Callable[[], T]) -> T:
        """As `Flights.join`; `make` runs in the thread that asked first."""
        while True:
            with _taking_off() as mine:
                future, ticket = self._board(key, mine)
                if ticket is mine:
                    return self._fly(key, future, make)
            _refuse_itself(ticket)
            with suppress(CancelledError):  # that thread was stopped, which says nothing about what it computed
                value: T = future.result()
                return value

    def _board(self, key: Hashable, mine: _Ticket) -> tuple[Future[Any], _Ticket]:
        with self._lock:
            return self._running.setdefault(key, (Future(), mine))

    def _fly(self, key: Hashable, future: "Future[Any]", make: Callable[[], T]) -> T:
        try:
            value = make()
        except Exception as error:
            future.set_exception(error)
            raise
        else:
            future.set_result(value)
            return value
        finally:
            with self._lock:
                del self._running[key]
            future.cancel()  # does nothing once it has a result


async def _awaited(make: Callable[[], Awaitable[T]]) -> T:
    return await make()


@contextmanager
def _taking_off() -> Iterator[_Ticket]:
    ticket = _Ticket()
    token = _inside.set((*_inside.get(), ticket))
    try:
        yield ticket
    finally:
        _inside.reset(token)


def _refuse_itself(ticket: _Ticket) -> None:
    if ticket in _inside.get():
        raise RecursionError("What is computed once for all who ask asks for itself with the same arguments.")
