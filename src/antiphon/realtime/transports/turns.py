"""Input taken in turns: what was compressed may be a thousand times as long, and nobody shall wait for all of it."""

import asyncio
from collections.abc import Callable

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
