"""The pulse of an event loop: how long it keeps work waiting, and who does when it stands still."""

import asyncio
import sys
import threading
from collections.abc import Callable
from inspect import CO_COROUTINE
from time import monotonic
from types import FrameType

PULSE_SECONDS = 0.4
"""Between two beats. Each wakes a thread and the loop, some 150 microseconds of CPU."""


class LoopPulse:
    """Asks the running loop for a sign of life from a thread of its own.

    `on_stall` is called in that thread, once for each beat that stays out longer than `limit` seconds, with the place
    at which the loop stands.
    """

    def __init__(self, limit: float, on_stall: Callable[[str], None]) -> None:
        self._limit = limit
        self._on_stall = on_stall
        self._worst = 0.0
        self._stopped = threading.Event()

    def start(self) -> None:
        """Begins, inside the loop that is to be watched."""
        self._stopped = threading.Event()
        arguments = (asyncio.get_running_loop(), threading.get_ident(), self._stopped)
        threading.Thread(target=self._watch, args=arguments, name="loop pulse", daemon=True).start()

    def stop(self) -> None:
        """Ends it, without waiting for the thread: it may itself wait for the loop that this is called in."""
        self._stopped.set()

    def take_worst(self) -> float:
        """The longest that the loop kept a beat waiting since the last time this was asked, in seconds."""
        worst, self._worst = self._worst, 0.0
        return worst

    def _watch(self, loop: asyncio.AbstractEventLoop, thread: int, stopped: threading.Event) -> None:
        while not stopped.wait(PULSE_SECONDS):
            answered, sent = threading.Event(), monotonic()
            try:
                loop.call_soon_threadsafe(answered.set)
            except RuntimeError:  # the loop was closed
                return
            if not answered.wait(self._limit):
                if stopped.is_set():
                    return
                self._worst = max(self._worst, monotonic() - sent)
                if (place := _place(sys._current_frames().get(thread))) is not None:  # noqa: SLF001 - the only way
                    self._on_stall(place)
                while not answered.wait(PULSE_SECONDS):
                    self._worst = max(self._worst, monotonic() - sent)
                    if stopped.is_set() or loop.is_closed():
                        return
            self._worst = max(self._worst, monotonic() - sent)


def _place(frame: FrameType | None) -> str | None:
    """Where the loop's thread is, and what the loop was running there; None when it runs nothing."""
    frames: list[FrameType] = []
    while frame is not None and not str(frame.f_globals.get("__name__")).startswith(("asyncio.", "selectors")):
        frames.append(frame)
        frame = frame.f_back
    if not frames:
        return None
    inner = frames[0]
    outer = next((frame for frame in reversed(frames) if frame.f_code.co_flags & CO_COROUTINE), frames[-1])
    place = f"{inner.f_globals.get('__name__')}:{inner.f_lineno} {inner.f_code.co_qualname}"
    return place if inner is outer else f"{place}, in {outer.f_code.co_qualname}"
