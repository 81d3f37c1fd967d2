"""What lets presence outlive the loop it was used on: the process default may see several, one after the other."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from antiphon.realtime.stepper import Done, Stepper


class Soon:
    """Does a thing once, a little later, however often it is asked for until then. A loop that ended with the call
    still ahead is not waited for."""

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


class LoopStepper:
    """A `Stepper` for whichever loop is running."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stepper = Stepper()

    def run(self, work: Coroutine[Any, Any, Any], done: Done) -> None:
        """Starts `work` now; `done(result, error)` is called when it is done, which may be before this returns."""
        self._here().run(work, done)

    async def stop(self) -> None:
        """Cancels what runs on this loop and waits for it."""
        await self._here().stop()

    def _here(self) -> Stepper:
        loop = asyncio.get_running_loop()
        if loop is not self._loop:
            # What ran on the other one has ended with it.
            self._loop, self._stepper = loop, Stepper()
        return self._stepper
