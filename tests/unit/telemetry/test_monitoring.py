import asyncio
import re
import time
from pathlib import Path
from typing import Any

import pytest

from antiphon.runtime.base import Service
from antiphon.runtime.clock import ManualClock
from antiphon.telemetry import monitoring as module
from antiphon.telemetry.config import MonitoringSettings
from antiphon.telemetry.health import HealthChecker
from antiphon.telemetry.metrics import Metrics
from antiphon.telemetry.monitoring import PATIENCE, MonitoringService
from antiphon.telemetry.process import ProcessSample, sample_process
from antiphon.telemetry.profile import PerformanceProfiler

GIB = 1024**3


class Machine:
    """A process whose figures the test says. The loop's lag is said too."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.figures: dict[str, Any] = {
            "cpu_seconds": 0.0, "memory": GIB, "open_files": 10, "open_files_limit": 1000, "disk_free": 10 * GIB
        }  # fmt: skip
        self.lag = 0.0
        monkeypatch.setattr(module, "sample_process", lambda _: ProcessSample(**self.figures))
        monkeypatch.setattr("antiphon.telemetry.pulse.LoopPulse.take_worst", lambda _: self.lag)


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(monkeypatch)


class House:
    """A monitoring service with everything of its own, and its clock."""

    def __init__(self, **settings: Any) -> None:
        self.clock = ManualClock()
        self.metrics = Metrics()
        self.service = MonitoringService(
            MonitoringSettings(**settings),
            checks=HealthChecker(cache=0.0),
            metrics=self.metrics,
            profiler=PerformanceProfiler(metrics=self.metrics),
            services=lambda: ["the store", "the flow"],
            clock=self.clock,
        )

    async def samples(self, count: int) -> None:
        for _ in range(count):
            await self.clock.advance(5.0)
            await self.service.sample()

    async def failing(self) -> dict[str, str]:
        status = await self.service.status()
        return {check.name: check.detail for check in status.checks if not check.healthy}


@pytest.fixture
def house(machine: Machine) -> House:
    made = House(memory_bytes=2 * GIB, loop_lag_seconds=0.5, disk_free_bytes=GIB)
    for name, threshold in made.service._thresholds.items():
        made.service.checks.register(name, threshold.check, critical=False)
    return made


@pytest.mark.parametrize(
    ("figures", "name", "sentence"),
    [
        ({"memory": 3 * GIB}, "memory", "The process has 3,221,225,472 bytes of memory. Limit: 2,147,483,648."),
        ({"open_files": 900}, "open files", "The process has 900 files open. Limit: 800."),
        (
            {"disk_free": 1000},
            "disk",
            "1,000 bytes are free on the disk that holds the data. Least: 1,073,741,824.",
        ),
        (
            {"disk_free": 0},
            "disk",
            "0 bytes are free on the disk that holds the data. Least: 1,073,741,824.",
        ),
    ],
)
async def test_what_passes_its_threshold_for_a_while_is_told_with_the_reason(
    house: House, machine: Machine, figures: dict[str, Any], name: str, sentence: str
) -> None:
    await house.samples(1)
    assert await house.failing() == {}
    machine.figures |= figures
    await house.samples(PATIENCE - 1)
    assert await house.failing() == {}, "a moment is not a while"
    await house.samples(1)
    assert await house.failing() == {name: sentence}
    status = await house.service.status()
    assert (status.status, status.ready) == ("degraded", True)


async def test_a_slow_loop_and_a_busy_processor_degrade(house: House, machine: Machine) -> None:
    machine.lag = 0.75
    for _ in range(PATIENCE):
        machine.figures["cpu_seconds"] += 5.0
        await house.samples(1)
    assert await house.failing() == {
        "event loop": "The event loop keeps work waiting 0.75 s. Limit: 0.5.",
        "processor": "The process keeps 1 processors busy. Limit: 0.95.",
    }


async def test_the_health_does_not_flap(house: House, machine: Machine) -> None:
    """Around a threshold it stays as it was; it is well again when it was clearly below for a while."""
    for memory in (2.1, 1.9, 2.1, 1.9, 2.1):
        machine.figures["memory"] = int(memory * GIB)
        await house.samples(1)
    assert await house.failing() == {}
    machine.figures["memory"] = int(2.1 * GIB)
    await house.samples(PATIENCE)
    assert "memory" in await house.failing()
    for memory in (1.95, 1.0, 1.95, 1.0, 1.0):
        machine.figures["memory"] = int(memory * GIB)
        await house.samples(1)
        assert "memory" in await house.failing()
    await house.samples(1)
    assert await house.failing() == {}


async def test_what_the_system_does_not_tell_is_no_failure(house: House, machine: Machine) -> None:
    machine.figures |= {"memory": None, "open_files": None, "open_files_limit": None, "disk_free": None}
    await house.samples(PATIENCE)
    checks = {check.name: check for check in (await house.service.status()).checks}
    assert [checks[name].detail for name in ("memory", "open files", "disk")] == ["this system does not tell"] * 3
    assert all(check.healthy for check in checks.values())


async def test_no_limit_is_no_threshold(machine: Machine) -> None:
    house = House()
    machine.figures["memory"] = 1000 * GIB
    await house.samples(PATIENCE)
    assert await house.failing() == {}


async def test_a_sample_is_seen_in_the_metrics(house: House, machine: Machine) -> None:
    machine.lag = 0.25
    house.service.checks.register("store", lambda: False)
    await house.samples(1)
    text = house.metrics.render().decode()
    assert "antiphon_loop_lag_seconds 0.25\n" in text
    (free,) = re.findall(r"^antiphon_disk_free_bytes (\S+)$", text, re.MULTILINE)
    assert float(free) == 10 * GIB
    assert 'antiphon_check_healthy{check="store"} 0.0' in text
    assert 'antiphon_check_healthy{check="memory"} 1.0' in text
    house.service.checks.unregister("store")
    await house.samples(1)
    assert 'check="store"' not in house.metrics.render().decode()


async def test_the_status_holds_everything(house: House, machine: Machine) -> None:
    turns = house.metrics.histogram("antiphon_turn_seconds", "Turns.")
    for _ in range(100):
        turns.observe(0.2)
    machine.figures["cpu_seconds"] = 2.5
    await house.samples(1)
    status = await house.service.status()
    assert status.services == ("the store", "the flow")
    assert status.cpu == pytest.approx(0.5)
    assert status.process.memory == GIB
    assert (status.times["antiphon_turn_seconds"].count, status.profile["monitoring.sample"].count) == (100, 1)
    assert 0.1 < status.times["antiphon_turn_seconds"].p50 <= 0.25


# --- its life -----------------------------------------------------------------------------------------------------


async def test_it_is_a_service_that_samples_until_it_is_stopped(machine: Machine) -> None:
    house = House(interval_seconds=5.0)
    assert isinstance(house.service, Service)
    await house.service.start()
    while house.clock.sleepers == 0:
        await asyncio.sleep(0.001)
    assert await house.service.health() is True
    names = {check.name for check in (await house.service.status()).checks}
    assert names == {"event loop", "processor", "memory", "open files", "disk"}
    machine.figures["memory"] = 7
    await house.clock.advance(5.0)
    while house.clock.sleepers == 0:
        await asyncio.sleep(0.001)
    assert (await house.service.status()).process.memory == 7
    await house.service.stop()
    await house.service.stop()
    assert (await house.service.status()).checks == ()
    assert await house.service.health() is False
    await house.service.start()
    assert await house.service.health() is True
    await house.service.stop()


async def test_a_sample_that_fails_is_not_the_last(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    house = House()
    monkeypatch.setattr(module, "sample_process", lambda _: 1 / 0)
    await house.service.start()
    while house.clock.sleepers == 0:
        await asyncio.sleep(0.001)
    assert [record.getMessage() for record in caplog.records] == ["task.crashed: monitoring"]
    monkeypatch.setattr(module, "sample_process", sample_process)
    await house.clock.advance(5.0)
    while house.clock.sleepers == 0:
        await asyncio.sleep(0.001)
    assert await house.service.health() is True
    await house.service.stop()


async def test_without_arguments_it_watches_this_process() -> None:
    service = MonitoringService()
    await service.initialize()
    await service.sample()
    status = await service.status()
    await service.shutdown()
    assert (status.process.memory or 0) > 1_000_000
    assert (status.process.open_files or 0) > 3
    assert (status.process.disk_free or 0) > 0
    assert {"event loop", "disk"} <= {check.name for check in status.checks}


async def test_it_costs_next_to_nothing_at_rest(tmp_path: Path) -> None:
    """As many samples in a second as in half a minute by default, and the beats of that second."""
    service = MonitoringService(
        MonitoringSettings(interval_seconds=0.2), checks=HealthChecker(), metrics=Metrics(), folder=tmp_path
    )
    await service.start()
    await asyncio.sleep(0.1)
    began = time.process_time()
    await asyncio.sleep(1.0)
    spent = time.process_time() - began
    await service.stop()
    assert spent < 0.02
