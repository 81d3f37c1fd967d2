"""The pulse of an event loop: how long it keeps work waiting, and who does when it stands still."""

import asyncio
import sys
import threading
from collections.abc import Callable, Sequence
from inspect import CO_COROUTINE
from time import monotonic
from types import FrameType

from prometheus_client import Counter, Gauge

from antiphon.telemetry.metrics import Metrics

PULSE_SECONDS = 0.4
"""Between two beats. Each wakes a thread and the loop, some 150 microseconds of CPU."""


def loop_instruments(metrics: Metrics) -> tuple[Gauge, Counter]:
    """For how long the loop keeps work waiting, and how often it stood still."""
    lag = metrics.gauge(
        "antiphon_loop_lag_seconds", "The longest that the event loop kept work waiting, of the last sample."
    )
    stalls = metrics.counter(
        "antiphon_loop_stalls_total", "Times that the event loop stood still beyond the threshold."
    )
    return lag, stalls


class LoopPulse:
    """Asks the running loop for a sign of life from a thread of its own.

    `on_stall` is called in that thread, once for each beat that stays out longer than `limit` seconds, with the place
    at which the loop stands. `named` is shown the frames there, the innermost first, and may say what they work on.
    Between two beats are `every` seconds.
    """

    def __init__(
        self,
        limit: float,
        on_stall: Callable[[str], None],
        *,
        named: Callable[[Sequence[FrameType]], str | None] | None = None,
        every: float | None = None,
    ) -> None:
        self._limit = limit
        self._on_stall = on_stall
        self._named = named
        self._every = PULSE_SECONDS if every is None else every
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
        while not stopped.wait(self._every):
            answered, sent = threading.Event(), monotonic()
            try:
                loop.call_soon_threadsafe(answered.set)
            except RuntimeError:  # the loop was closed
                return
            if not answered.wait(self._limit):
                if stopped.is_set():
                    return
                self._worst = max(self._worst, monotonic() - sent)
                self._tell(_frames(sys._current_frames().get(thread)))  # noqa: SLF001 - the only way
                while not answered.wait(self._every):
                    self._worst = max(self._worst, monotonic() - sent)
                    if stopped.is_set() or loop.is_closed():
                        return
            self._worst = max(self._worst, monotonic() - sent)

    def _tell(self, frames: Sequence[FrameType]) -> None:
        if frames:
            named = None if self._named is None else self._named(frames)
            place = _place(frames)
            self._on_stall(place if named is None else f"{place}, {named}")


def _frames(frame: FrameType | None) -> Sequence[FrameType]:
    """What the loop runs in its thread, the innermost first; nothing when it waits."""
    frames: list[FrameType] = []
    # Of a thread that runs, CPython 3.11 may give as the caller of a frame what is no frame.
    while isinstance(frame, FrameType) and not _waits(frame):
        frames.append(frame)
        frame = frame.f_back
    return frames


def _waits(frame: FrameType) -> bool:
    return str(frame.f_globals.get("__name__")).startswith(("asyncio.", "selectors"))


def _place(frames: Sequence[FrameType]) -> str:
    """Where that is, and what the loop was running there."""
    inner = frames[0]
    outer = next((frame for frame in reversed(frames) if frame.f_code.co_flags & CO_COROUTINE), frames[-1])
    place = f"{inner.f_globals.get('__name__')}:{inner.f_lineno} {inner.f_code.co_qualname}"
    return place if inner is outer else f"{place}, in {outer.f_code.co_qualname}"
