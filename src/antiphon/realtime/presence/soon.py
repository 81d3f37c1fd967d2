"""Does a thing once, a little later, however often it is asked for until then."""

import asyncio
from collections.abc import Callable


class Soon:
    """Calls back on the running loop. One that ended with the call still ahead is not waited for."""

    __slots__ = ("_callback", "_loop")

    def __init__(self, callback: Callable[[], None]) -> None:
        self._callback = callback
        self._loop: asyncio.AbstractEventLoop | None = None

    def ask(self, delay: float = 0.0) -> None:
        """At the end of this loop tick, or `delay` seconds from now."""
        loop = asyncio.get_running_loop()
        if self._loop is loop:
            return
        self._loop = loop
        if delay:
            loop.call_later(delay, self._go)
        else:
            loop.call_soon(self._go)

    def _go(self) -> None:
        self._loop = None
        self._callback()
