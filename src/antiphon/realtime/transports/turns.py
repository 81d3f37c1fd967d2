"""Input taken in turns, so that nobody waits for all that somebody else sends: what was compressed may be a thousand
times as long, and a mebibyte of brackets takes a quarter of a second to read."""

import asyncio
from collections.abc import Callable
from time import perf_counter

MUCH = 32 * 1024
"""Bytes that come at once. Of less, the time it takes to read them is not even looked at."""

_SHORT, _LONG = 0.005, 0.05
_BYTES = 4096
"""What is taken in one turn."""


class Turns:
    """`take` gets the input in pieces, one in each turn of the loop; `done` is called behind the last that waited."""

    __slots__ = ("_done", "_loop", "_rest", "_take")

    def __init__(self, take: Callable[[bytes], None], done: Callable[[], None]) -> None:
        self._take = take
        self._done = done
        self._loop = asyncio.get_running_loop()
        self._rest = bytearray()

    def __bool__(self) -> bool:
        """Whether there is input that waits for its turn."""
        return bool(self._rest)

    def add(self, data: bytes) -> None:
        """Takes what is short at once, where nothing waits."""
        if not self._rest:
            if len(data) <= _BYTES:
                self._take(data)
                return
            self._loop.call_soon(self._next)
        self._rest += data

    def _next(self) -> None:
        data = bytes(self._rest[:_BYTES])
        del self._rest[:_BYTES]
        if self._rest:
            self._loop.call_soon(self._next)
        self._take(data)
        if not self._rest:
            self._done()


class Rests:
    """`take` gets the input as it comes. What took a while is followed by a rest, and what took long by one nearly as
    long; `done` is called behind it. Whoever keeps reading paused meanwhile leaves others their share."""

    __slots__ = ("_done", "_loop", "_resting", "_take")

    def __init__(self, take: Callable[[bytes], None], done: Callable[[], None]) -> None:
        self._take = take
        self._done = done
        self._loop = asyncio.get_running_loop()
        self._resting = False

    def __bool__(self) -> bool:
        """Whether it rests."""
        return self._resting

    def add(self, data: bytes) -> None:
        """Takes it at once."""
        began = perf_counter()
        self._take(data)
        if (took := perf_counter() - began) > _SHORT:
            self._resting = True
            self._loop.call_later(max(0.0, took - _LONG), self._over)

    def _over(self) -> None:
        self._resting = False
        self._done()
