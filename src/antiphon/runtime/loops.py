"""Which event loop the house runs on, and how a program runs one."""

import asyncio
import signal
import sys
from collections.abc import Callable, Coroutine
from contextlib import suppress
from importlib import import_module
from typing import Any, TypeVar

T = TypeVar("T")


def fast_loop() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """What makes one: uvloop where there is one, else None for asyncio's own."""
    if sys.platform == "win32":
        return None
    loop: Callable[[], asyncio.AbstractEventLoop] = import_module("uvloop").new_event_loop
    return loop


def run(main: Coroutine[Any, Any, T]) -> T:
    """As `asyncio.run`: Ctrl-C cancels `main`, a second one ends it where it stands.

    `asyncio.run` may sleep through a signal that comes just before its loop goes to sleep, for as long as nothing else
    wakes the loop: only one with handlers of its own is woken by signals themselves (`signal.set_wakeup_fd`).
    """
    stopped = False
    ours = signal.getsignal(signal.SIGINT) is signal.default_int_handler  # nobody else hears of it

    async def heard() -> T:
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        assert task is not None  # noqa: S101 - a coroutine that runs

        def stop() -> None:
            nonlocal stopped
            stopped = True
            loop.remove_signal_handler(signal.SIGINT)
            task.cancel()

        # Windows wakes its loop anyway, and in another thread than the main one nobody hears of signals.
        with suppress(RuntimeError, ValueError):
            if ours:
                loop.add_signal_handler(signal.SIGINT, stop)
        return await main

    try:
        return asyncio.run(heard())
    except asyncio.CancelledError:
        if not stopped:
            raise
    raise KeyboardInterrupt
