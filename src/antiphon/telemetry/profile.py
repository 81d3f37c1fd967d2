"""Where the time goes: named measurements with their statistics, in code that runs as it always does.

profiler = get_profiler()
with profiler.measure("import.parse"):
    ...

@profile("import")
async def import_file(path): ...
"""

import inspect
import random
import tracemalloc
from array import array
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from contextlib import AbstractContextManager, aclosing, contextmanager
from functools import wraps
from threading import Lock
from time import perf_counter
from typing import Any, ParamSpec, TypeVar, cast

from msgspec import Struct
from prometheus_client import Histogram

from antiphon.runtime.current import Current
from antiphon.telemetry.metrics import Metrics, get_metrics

P = ParamSpec("P")
T = TypeVar("T")

SAMPLES = 1024
"""Durations kept of each name, chosen evenly among all, from which the percentiles are taken (8 KiB)."""
NAMES = 1000
"""Names measured apart; those beyond share one."""
OTHER = "other"
BUCKETS = (0.0001, 0.001, 0.01, 0.1, 1.0, 10.0)


class Timing(Struct, frozen=True, kw_only=True):
    """Of one name, in seconds. `memory` is the most by which Python's memory grew in one measurement, in bytes;
    None when that was not tracked."""

    count: int
    total: float
    mean: float
    min: float
    max: float
    p50: float
    p95: float
    p99: float
    memory: int | None


class _Series:
    """The durations of one name: exact sums, and a sample of bounded size for the percentiles."""

    __slots__ = ("count", "least", "memory", "most", "sample", "total")

    def __init__(self) -> None:
        self.count = 0
        self.total = 0.0
        self.least = float("inf")
        self.most = 0.0
        self.memory: int | None = None
        self.sample = array("d")

    def add(self, seconds: float, memory: int | None) -> None:
        self.count += 1
        self.total += seconds
        self.least = min(self.least, seconds)
        self.most = max(self.most, seconds)
        if memory is not None:
            self.memory = max(self.memory or 0, memory)
        if len(self.sample) < SAMPLES:
            self.sample.append(seconds)
        elif (place := int(random.random() * self.count)) < SAMPLES:  # noqa: S311 - Vitter's algorithm R
            self.sample[place] = seconds

    def timing(self) -> Timing:
        ordered = sorted(self.sample)

        def percentile(part: float) -> float:
            return ordered[min(int(part * len(ordered)), len(ordered) - 1)]

        return Timing(
            count=self.count,
            total=self.total,
            mean=self.total / self.count,
            min=self.least,
            max=self.most,
            p50=percentile(0.50),
            p95=percentile(0.95),
            p99=percentile(0.99),
            memory=self.memory,
        )


class _Span:
    """One measurement whose memory is tracked, in bytes."""

    __slots__ = ("before", "peak")

    def __init__(self, before: int) -> None:
        self.before = self.peak = before


class _MemoryTracker:
    """Follows how far Python's memory grows during spans that may lie inside each other.

    `tracemalloc` knows one peak. It is handed to every span that runs whenever one begins or ends, and begun anew.
    """

    def __init__(self) -> None:
        self._running: list[_Span] = []
        self._started = False
        self._lock = Lock()

    @contextmanager
    def span(self) -> Iterator[_Span]:
        with self._lock:
            if not tracemalloc.is_tracing():
                tracemalloc.start()
                self._started = True
            self._hand_out_peak()
            span = _Span(tracemalloc.get_traced_memory()[0])
            self._running.append(span)
        try:
            yield span
        finally:
            with self._lock:
                self._hand_out_peak()
                self._running.remove(span)
                if self._started and not self._running:
                    tracemalloc.stop()
                    self._started = False

    def _hand_out_peak(self) -> None:
        peak = tracemalloc.get_traced_memory()[1]
        for span in self._running:
            span.peak = max(span.peak, peak)
        tracemalloc.reset_peak()


class PerformanceProfiler:
    """Measures by name, in any thread or task, also one inside the other. What it keeps is bounded.

    With `memory` each measurement also tells how far Python's memory grew while it ran. That makes what is measured
    several times slower and looks at the whole process: measurements at the same time see each other's. Every
    duration is also counted in the metric `antiphon_profile_seconds`.
    """

    def __init__(self, *, memory: bool = False, metrics: Metrics | None = None) -> None:
        self._memory = _MemoryTracker() if memory else None
        self._series: dict[str, _Series] = {}
        self._counted: dict[str, Histogram] = {}
        self._lock = Lock()
        self._seconds = (metrics or get_metrics()).histogram(
            "antiphon_profile_seconds", "Time spent in what is profiled.", ("name",), buckets=BUCKETS
        )

    @contextmanager
    def measure(self, name: str) -> Iterator[None]:
        """Measures the block, its `await`s included, also when it raises."""
        span: _Span | None = None
        began = perf_counter()
        try:
            if self._memory is None:
                yield
            else:
                with self._memory.span() as span:
                    began = perf_counter()
                    yield
        finally:
            self._add(name, perf_counter() - began, span.peak - span.before if span else None)

    def report(self) -> dict[str, Timing]:
        """What was measured so far, by name, the greatest total first."""
        with self._lock:
            timings = {name: series.timing() for name, series in self._series.items()}
        return dict(sorted(timings.items(), key=lambda item: -item[1].total))

    def reset(self) -> None:
        """Forgets what was measured; the metric goes on, as counters do."""
        with self._lock:
            self._series.clear()

    def _add(self, name: str, seconds: float, memory: int | None) -> None:
        with self._lock:
            if name not in self._counted and len(self._counted) >= NAMES:
                name = OTHER
            counted = self._counted.get(name)
            if counted is None:
                counted = self._counted[name] = self._seconds.labels(name)
            self._series.setdefault(name, _Series()).add(seconds, memory)
        counted.observe(seconds)


_current = Current(PerformanceProfiler)


def get_profiler() -> PerformanceProfiler:
    """The running workspace's profiler; where none runs, a process default which the first one to start adopts."""
    return _current.get()


def adopt(profiler: PerformanceProfiler | None = None) -> PerformanceProfiler:
    """The profiler a starting workspace is to use; see `runtime.current`."""
    return _current.adopt(profiler)


def release(profiler: PerformanceProfiler) -> None:
    """Called by the workspace that stopped; what was measured stays."""
    _current.release(profiler)


def profile(name: str, profiler: PerformanceProfiler | None = None) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Measures every call of a function, async or not, in `profiler` (that of `get_profiler()`).

    A generator, async or not, is measured from its first item to its end, what its reader does in between included.
    """

    def decorate(function: Callable[P, T]) -> Callable[P, T]:
        call: Callable[..., Any] = function

        def measure() -> AbstractContextManager[None]:
            return (profiler or get_profiler()).measure(name)

        async def await_it(*args: Any, **kwargs: Any) -> Any:
            with measure():
                return await call(*args, **kwargs)

        async def stream(*args: Any, **kwargs: Any) -> AsyncIterator[Any]:
            with measure():
                async with aclosing(call(*args, **kwargs)) as items:
                    async for item in items:
                        yield item

        def generate(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
            with measure():
                return (yield from call(*args, **kwargs))

        def run(*args: Any, **kwargs: Any) -> Any:
            with measure():
                return call(*args, **kwargs)

        kinds = (
            (inspect.iscoroutinefunction, await_it),
            (inspect.isasyncgenfunction, stream),
            (inspect.isgeneratorfunction, generate),
        )
        wrapper = next((wrapper for is_kind, wrapper in kinds if is_kind(call)), run)
        return cast("Callable[P, T]", wraps(function)(wrapper))

    return decorate
