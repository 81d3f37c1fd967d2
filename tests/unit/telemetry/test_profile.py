import asyncio
import threading
import tracemalloc
from collections.abc import AsyncIterator, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.telemetry import profile as module
from antiphon.telemetry.metrics import Metrics
from antiphon.telemetry.profile import NAMES, OTHER, SAMPLES, PerformanceProfiler, get_profiler, profile


@pytest.fixture
def profiler() -> PerformanceProfiler:
    return PerformanceProfiler(metrics=Metrics())


@pytest.fixture
def moments(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """What the clock says next, until the last, which it repeats."""
    told = [0.0]
    monkeypatch.setattr(module, "perf_counter", lambda: told.pop(0) if len(told) > 1 else told[0])
    return told


def measured(profiler: PerformanceProfiler, moments: list[float], seconds: list[float], name: str = "a") -> None:
    for duration in seconds:
        moments[:] = [0.0, duration]
        with profiler.measure(name):
            moments[:] = [duration]


def test_the_sample_of_the_document() -> None:
    profiler = PerformanceProfiler()
    with profiler.measure("operation_name"):
        pass

    @profile("function_name")
    def my_function() -> int:
        return 7

    assert my_function() == 7
    assert profiler.report()["operation_name"].count == 1
    assert get_profiler().report()["function_name"].count == 1


def test_statistics(profiler: PerformanceProfiler, moments: list[float]) -> None:
    measured(profiler, moments, [float(number) for number in range(1, 101)])
    timing = profiler.report()["a"]
    assert (timing.count, timing.total, timing.mean, timing.min, timing.max) == (100, 5050.0, 50.5, 1.0, 100.0)
    assert (timing.p50, timing.p95, timing.p99) == (51.0, 96.0, 100.0)
    assert timing.memory is None


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=200))
def test_percentiles_lie_in_order_between_the_least_and_the_most(seconds: list[float]) -> None:
    series = module._Series()
    for duration in seconds:
        series.add(duration, None)
    timing = series.timing()
    assert timing.min <= timing.p50 <= timing.p95 <= timing.p99 <= timing.max
    assert timing.total == pytest.approx(sum(seconds))


def test_memory_stays_bounded_and_the_percentiles_near_the_truth() -> None:
    series = module._Series()
    for number in range(100_000):
        series.add(number / 100_000, None)
    assert len(series.sample) == SAMPLES
    timing = series.timing()
    assert timing.count == 100_000
    assert timing.p50 == pytest.approx(0.5, abs=0.1)
    assert timing.p95 == pytest.approx(0.95, abs=0.05)


def test_more_names_than_it_keeps_share_one(profiler: PerformanceProfiler) -> None:
    for number in range(NAMES + 50):
        with profiler.measure(f"name {number}"):
            pass
    report = profiler.report()
    assert len(report) == NAMES + 1
    assert report[OTHER].count == 50


def test_the_slowest_comes_first_and_a_reset_forgets(profiler: PerformanceProfiler, moments: list[float]) -> None:
    measured(profiler, moments, [1.0], "quick")
    measured(profiler, moments, [5.0], "slow")
    assert list(profiler.report()) == ["slow", "quick"]
    profiler.reset()
    assert profiler.report() == {}
    measured(profiler, moments, [2.0], "quick")
    assert profiler.report()["quick"].count == 1


def test_what_raises_is_measured_too(profiler: PerformanceProfiler) -> None:
    with pytest.raises(ValueError, match="as it was"), profiler.measure("a"):
        raise ValueError("as it was")
    assert profiler.report()["a"].count == 1


def test_one_inside_the_other(profiler: PerformanceProfiler, moments: list[float]) -> None:
    moments[:] = [0.0, 1.0, 3.0, 10.0]
    with profiler.measure("outer"), profiler.measure("inner"):
        pass
    report = profiler.report()
    assert (report["outer"].total, report["inner"].total) == (10.0, 2.0)


async def test_tasks_at_the_same_time_are_measured_each(profiler: PerformanceProfiler) -> None:
    arrived, release = asyncio.Semaphore(0), asyncio.Event()

    async def work() -> None:
        with profiler.measure("work"):
            arrived.release()
            await release.wait()

    tasks = [asyncio.create_task(work()) for _ in range(50)]
    for _ in tasks:
        await arrived.acquire()
    release.set()
    await asyncio.gather(*tasks)
    assert profiler.report()["work"].count == 50


def test_threads_lose_no_measurement(profiler: PerformanceProfiler) -> None:
    def work() -> None:
        for _ in range(1000):
            with profiler.measure("work"):
                pass

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert profiler.report()["work"].count == 8000


async def test_the_decorator_takes_every_kind_of_function(profiler: PerformanceProfiler) -> None:
    @profile("sync", profiler)
    def add(a: int, b: int = 1) -> int:
        """Adds."""
        return a + b

    @profile("async", profiler)
    async def add_later(a: int) -> int:
        await asyncio.sleep(0)
        return a

    @profile("generator", profiler)
    def count(to: int) -> Iterator[int]:
        yield from range(to)

    @profile("stream", profiler)
    async def stream(to: int) -> AsyncIterator[int]:
        for number in range(to):
            yield number

    assert (add(1, b=2), add.__name__, add.__doc__) == (3, "add", "Adds.")
    assert await add_later(4) == 4
    assert list(count(3)) == [0, 1, 2]
    assert [number async for number in stream(3)] == [0, 1, 2]
    assert {name: timing.count for name, timing in profiler.report().items()} == {
        "sync": 1,
        "async": 1,
        "generator": 1,
        "stream": 1,
    }


async def test_a_stream_that_is_left_early_is_closed_and_measured(profiler: PerformanceProfiler) -> None:
    closed = list[str]()

    @profile("stream", profiler)
    async def stream() -> AsyncIterator[int]:
        try:
            yield 1
            yield 2
        finally:
            closed.append("closed")

    items = stream()
    assert await anext(items) == 1
    await items.aclose()  # type: ignore[attr-defined]
    assert closed == ["closed"]
    assert profiler.report()["stream"].count == 1


def test_a_generator_is_sent_to_and_returns_as_before(profiler: PerformanceProfiler) -> None:
    @profile("echo", profiler)
    def echo() -> Iterator[str]:
        heard = yield "ready"
        yield f"heard {heard}"

    generator = echo()
    assert next(generator) == "ready"
    assert generator.send("x") == "heard x"  # type: ignore[attr-defined]


def test_every_duration_feeds_the_metric(moments: list[float]) -> None:
    metrics = Metrics()
    profiler = PerformanceProfiler(metrics=metrics)
    measured(profiler, moments, [0.5, 0.05])
    text = metrics.render().decode()
    assert 'antiphon_profile_seconds_count{name="a"} 2.0' in text
    assert 'antiphon_profile_seconds_bucket{le="0.1",name="a"} 1.0' in text


def test_memory_is_the_growth_while_it_ran_also_of_one_inside_the_other() -> None:
    profiler = PerformanceProfiler(memory=True, metrics=Metrics())
    with profiler.measure("outer"):
        first = bytearray(4_000_000)
        del first
        with profiler.measure("inner"):
            second = bytearray(1_000_000)
            del second
    report = profiler.report()
    outer, inner = report["outer"].memory, report["inner"].memory
    assert outer is not None
    assert inner is not None
    assert outer == pytest.approx(4_000_000, rel=0.1)
    assert inner == pytest.approx(1_000_000, rel=0.1)
    assert not tracemalloc.is_tracing(), "it would slow down everything that follows"


def test_tracing_that_somebody_else_began_goes_on() -> None:
    tracemalloc.start()
    try:
        with PerformanceProfiler(memory=True, metrics=Metrics()).measure("a"):
            pass
        assert tracemalloc.is_tracing()
    finally:
        tracemalloc.stop()


def test_one_for_the_process() -> None:
    assert get_profiler() is get_profiler()
