import asyncio
import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress

import pytest

from antiphon.errors import ServiceError
from antiphon.runtime.clock import ManualClock
from antiphon.telemetry.health import Check, HealthChecker, get_health_checker


def down() -> None:
    raise ConnectionError("nobody listens on 5432")


async def endless() -> None:
    await asyncio.Event().wait()


async def test_nothing_to_check_is_healthy() -> None:
    health = await HealthChecker().acheck_all()
    assert health.status == "healthy"
    assert health.ready


async def test_results_carry_name_detail_and_time() -> None:
    checker = HealthChecker()

    async def database() -> str:
        return "SQLite 3.45, 2 MB"

    checker.register("database", database)
    (result,) = (await checker.acheck_all()).checks
    assert (result.name, result.healthy, result.critical, result.detail) == (
        "database",
        True,
        True,
        "SQLite 3.45, 2 MB",
    )
    assert 0 <= result.elapsed_ms < 1000


@pytest.mark.parametrize(
    ("critical", "status", "ready"),
    [(True, "unhealthy", False), (False, "degraded", True)],
)
async def test_a_failing_check_counts_by_how_critical_it_is(critical: bool, status: str, ready: bool) -> None:
    checker = HealthChecker()
    checker.register("well", lambda: True)
    checker.register("database", down, critical=critical)
    health = await checker.acheck_all()
    assert (health.status, health.ready) == (status, ready)
    assert health.checks[1].detail == "ConnectionError: nobody listens on 5432"


async def test_false_fails_and_an_awaitable_of_a_plain_function_is_awaited() -> None:
    checker = HealthChecker()
    checker.register("false", lambda: False, critical=False)
    checker.register("awaitable", lambda: asyncio.sleep(0, result=False), critical=False)
    assert [result.healthy for result in (await checker.acheck_all()).checks] == [False, False]


async def test_checks_run_together_each_within_its_time() -> None:
    checker, release = HealthChecker(limit=0.05), threading.Event()
    for number in range(20):
        checker.register(f"async {number}", endless)
    checker.register("blocking", release.wait)
    loop = asyncio.get_running_loop()
    began = loop.time()
    health = await checker.acheck_all()
    release.set()
    assert loop.time() - began < 0.5, "twenty-one limits one after the other would take more than a second"
    assert {result.detail for result in health.checks} == {"no answer within 0.05 s"}


@pytest.fixture
def hanging() -> Iterator[tuple[HealthChecker, list[int], threading.Event]]:
    """A checker whose plain function does not return before the event is set, and its calls."""
    calls, release = list[int](), threading.Event()
    checker = HealthChecker(limit=0.02, cache=0.0)

    def hang() -> None:
        calls.append(1)
        release.wait(10)

    checker.register("hanging", hang)
    yield checker, calls, release
    release.set()


async def test_a_function_that_hangs_has_one_thread_and_recovers(
    hanging: tuple[HealthChecker, list[int], threading.Event],
) -> None:
    checker, calls, release = hanging
    for _ in range(3):
        assert not (await checker.acheck_all()).ready
    assert len(calls) == 1
    release.set()
    while not (await checker.acheck_all()).ready:
        await asyncio.sleep(0.001)
    assert len(calls) == 2


async def test_an_answer_holds_for_a_moment_and_probes_share_one_round() -> None:
    clock, calls = ManualClock(), list[int]()
    checker = HealthChecker(cache=1.0, clock=clock)

    async def check() -> None:
        calls.append(1)
        await asyncio.sleep(0)

    checker.register("counted", check)
    await asyncio.gather(*(checker.acheck_all() for _ in range(50)))
    assert len(calls) == 1
    await clock.advance(0.9)
    await checker.acheck_all()
    assert len(calls) == 1
    await clock.advance(0.2)
    await checker.acheck_all()
    assert len(calls) == 2


async def test_a_probe_that_hangs_up_does_not_disturb_the_others() -> None:
    checker, release = HealthChecker(), asyncio.Event()

    async def check() -> str:
        await release.wait()
        return "answered"

    checker.register("slow", check)
    impatient = asyncio.create_task(checker.acheck_all())
    patient = asyncio.create_task(checker.acheck_all())
    await asyncio.sleep(0)
    impatient.cancel()
    release.set()
    assert (await patient).checks[0].detail == "answered"


async def test_registering_and_removing_count_at_once() -> None:
    checker = HealthChecker()
    assert (await checker.acheck_all()).ready
    checker.register("database", down)
    assert not (await checker.acheck_all()).ready
    checker.register("database", lambda: True)
    assert (await checker.acheck_all()).ready
    checker.unregister("database")
    checker.unregister("database")
    assert (await checker.acheck_all()).checks == ()


async def test_draining_is_not_ready_though_healthy_and_needs_no_new_round() -> None:
    checker = HealthChecker()
    checker.register("well", lambda: True)
    await checker.acheck_all()
    checker.drain()
    health = await checker.acheck_all()
    assert (health.status, health.draining, health.ready) == ("healthy", True, False)


async def test_the_sync_form_refuses_to_block_a_loop() -> None:
    with pytest.raises(ServiceError, match="await checker"):
        HealthChecker().check_all()


def test_the_sync_form_works_again_and_again_without_a_loop() -> None:
    checker = HealthChecker(cache=0.0)
    checker.register("plain", lambda: True)
    checker.register("async", lambda: asyncio.sleep(0))
    assert [checker.check_all().status for _ in range(3)] == ["healthy"] * 3


async def stubborn() -> None:
    """Ignores that it is cancelled, for a while."""
    for _ in range(3):
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(5)


async def blocking() -> None:
    time.sleep(3)


async def leaving() -> None:
    sys.exit(1)


@pytest.mark.parametrize("check", [endless, stubborn, blocking, leaving, lambda: time.sleep(3), lambda: sys.exit(1)])
def test_the_sync_form_answers_within_a_second_whatever_a_check_does(check: Check) -> None:
    checker = HealthChecker()
    checker.register("well", lambda: True)
    checker.register("bad", check, critical=True)
    began = time.monotonic()
    health = checker.check_all()
    assert time.monotonic() - began < 1.0
    well, bad = health.checks
    assert (health.status, bad.healthy) == ("unhealthy", False)
    assert well.healthy or check is blocking  # which keeps the loop from hearing of the other's answer


async def test_a_check_that_ignores_its_end_holds_nobody_up_and_is_not_asked_again() -> None:
    asked, release = list[int](), asyncio.Event()

    async def check() -> str:
        asked.append(1)
        while not release.is_set():
            with suppress(asyncio.CancelledError):
                await release.wait()
        return "at last"

    checker = HealthChecker(limit=0.02, cache=0.0)
    checker.register("stubborn", check)
    for _ in range(3):
        assert not (await checker.acheck_all()).ready
    assert len(asked) == 1
    release.set()
    while not (await checker.acheck_all()).ready:
        await asyncio.sleep(0)


async def test_an_error_of_ours_is_shown_as_its_sentence_and_no_detail_holds_a_secret() -> None:
    checker = HealthChecker()

    def refused() -> None:
        raise ConnectionError("cannot reach postgresql://antiphon:hunter2@db/x")

    def full() -> None:
        raise ServiceError("The disk is full.")

    checker.register("refused", refused)
    checker.register("full", full)
    checker.register("told", lambda: "redis://:hunter2@cache answers")
    assert [result.detail for result in (await checker.acheck_all()).checks] == [
        "ConnectionError: cannot reach postgresql://antiphon:***@db/x",
        "The disk is full.",
        "redis://:***@cache answers",
    ]


def test_a_function_that_never_returns_does_not_keep_the_process_alive() -> None:
    program = (
        "import threading, json\n"
        "from antiphon.telemetry.health import HealthChecker\n"
        "checker = HealthChecker(limit=0.05)\n"
        "checker.register('hangs', threading.Event().wait)\n"
        "print(json.dumps(checker.check_all().status))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=20, check=True)
    assert json.loads(done.stdout) == "unhealthy"


def test_one_checker_for_the_process() -> None:
    assert get_health_checker() is get_health_checker()
