"""What the house knows of itself, in one place: metrics, health, the parts that run, what the process takes.

A sample is taken now and then. A threshold that is passed for a while makes the health degraded, with the reason, and
what lies well below it for a while makes it healthy again, so that the health does not flap.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from time import monotonic
from types import FrameType

from msgspec import Struct

from antiphon.errors import ServiceError
from antiphon.runtime.base import BaseService
from antiphon.runtime.clock import Clock, SystemClock
from antiphon.runtime.tasks import Restart, Tasks
from antiphon.runtime.threads import run_async
from antiphon.telemetry.config import MonitoringSettings
from antiphon.telemetry.health import CheckResult, HealthChecker, Status, get_health_checker
from antiphon.telemetry.logs import get_logger
from antiphon.telemetry.metrics import Metrics, Percentiles, get_metrics
from antiphon.telemetry.process import ProcessSample, sample_process
from antiphon.telemetry.profile import PerformanceProfiler, Timing, get_profiler
from antiphon.telemetry.pulse import LoopPulse, loop_instruments

log = get_logger(__name__)

PATIENCE = 3
"""Samples in a row until a threshold counts as passed, or as no longer passed."""
CLEAR = 0.9
"""What part of a threshold must not be reached for it to count as no longer passed."""
SILENCE_SECONDS = 60.0
"""How long nothing more is logged about a loop that stands still at the same place."""


class SystemStatus(Struct, frozen=True, kw_only=True):
    """The house at one moment. `times` and `profile` are in seconds, `cpu` in whole processors, `services` are the
    parts that run in the order of their start."""

    status: Status
    draining: bool
    checks: tuple[CheckResult, ...]
    services: tuple[str, ...]
    loop_lag: float
    cpu: float
    process: ProcessSample
    times: dict[str, Percentiles]
    profile: dict[str, Timing]

    @property
    def ready(self) -> bool:
        return self.status != "unhealthy" and not self.draining


class _Threshold:
    """Whether something is too much: seen `PATIENCE` times in a row, and so again until it is not."""

    def __init__(self) -> None:
        self._passed = False
        self._streak = 0
        self._told = "not measured yet"

    def see(self, pressure: float, told: str) -> None:
        """`pressure` is 1 at the threshold; `told` is a sentence about what was measured."""
        self._told = told
        turning = pressure < CLEAR if self._passed else pressure >= 1
        self._streak = self._streak + 1 if turning else 0
        if self._streak >= PATIENCE:
            self._passed, self._streak = not self._passed, 0

    async def check(self) -> str:
        if self._passed:
            raise ServiceError(self._told)
        return self._told


class MonitoringService(BaseService):
    """Watches this process while it runs. `folder` is where the data is; `services` tells the parts that run; `named`
    is that of `LoopPulse`.

    Without arguments it watches with the default settings and the process's own metrics and checks.
    """

    def __init__(
        self,
        settings: MonitoringSettings | None = None,
        *,
        checks: HealthChecker | None = None,
        metrics: Metrics | None = None,
        profiler: PerformanceProfiler | None = None,
        folder: Path | None = None,
        services: Callable[[], Sequence[str]] = tuple,
        clock: Clock | None = None,
        named: Callable[[Sequence[FrameType]], str | None] | None = None,
    ) -> None:
        super().__init__("monitoring")
        self.metrics = metrics or get_metrics()
        self.checks = checks or get_health_checker()
        self.profiler = profiler or get_profiler()
        self._settings = settings or MonitoringSettings()
        self._folder = folder or Path()
        self._services = services
        self._clock = clock or SystemClock()
        self._pulse = LoopPulse(self._settings.loop_lag_seconds, self._stalled, named=named)
        self.stalls = 0
        """Times that the event loop stood still so far, the last of them at `stalled_at`."""
        self.stalled_at = ""
        self._told_at = -SILENCE_SECONDS
        self._lag = 0.0
        self._cpu = 0.0
        self._sample = sample_process(self._folder)
        self._sampled_at = self._clock.monotonic()
        self._thresholds = {name: _Threshold() for name in ("event loop", "processor", "memory", "open files", "disk")}
        self._tasks = Tasks(clock=self._clock)
        self._loop_lag, self._stalls = loop_instruments(self.metrics)
        self._disk_free = self.metrics.gauge("antiphon_disk_free_bytes", "Free on the disk that holds the data.")
        self._well = self.metrics.gauge(
            "antiphon_check_healthy", "1 for a health check that is well, else 0.", ("check",)
        )

    async def initialize(self) -> None:
        """Takes the first sample and goes on taking them."""
        self._pulse.start()
        for name, threshold in self._thresholds.items():
            self.checks.register(name, threshold.check, critical=False)
        # One sample that fails, whatever the reason, must not be the last.
        self._tasks.start(
            "monitoring", self._keep_sampling, restart=Restart(first_pause=self._settings.interval_seconds)
        )
        await super().initialize()

    async def shutdown(self) -> None:
        """Ends that and takes its checks out of the health."""
        await super().shutdown()
        await self._tasks.stop()
        for name in self._thresholds:
            self.checks.unregister(name)
        self._pulse.stop()

    async def health(self) -> object:
        return len(self._tasks) > 0

    async def status(self) -> SystemStatus:
        """Everything, now: the checks are asked as `acheck_all` does, the rest is of the last sample."""
        health = await self.checks.acheck_all()
        return SystemStatus(
            status=health.status,
            draining=health.draining,
            checks=health.checks,
            services=tuple(self._services()),
            loop_lag=self._lag,
            cpu=self._cpu,
            process=self._sample,
            times=self.metrics.percentiles(),
            profile=self.profiler.report(),
        )

    async def sample(self) -> None:
        """Measures once more."""
        with self.profiler.measure("monitoring.sample"):
            before, since = self._sample, self._clock.monotonic() - self._sampled_at
            self._sample = now = await run_async(sample_process, self._folder)
            self._sampled_at += since
            self._lag = self._pulse.take_worst()
            self._cpu = (now.cpu_seconds - before.cpu_seconds) / since if since else 0.0
            self._judge(now)
            health = await self.checks.acheck_all()
        self._loop_lag.set(self._lag)
        self._disk_free.set(now.disk_free or 0)
        self._well.clear()
        for result in health.checks:
            self._well.labels(result.name).set(result.healthy)

    async def _keep_sampling(self) -> None:
        while True:
            await self.sample()
            await self._clock.sleep(self._settings.interval_seconds)

    def _judge(self, now: ProcessSample) -> None:
        limits = self._settings
        at = f" The last time it stood still at {self.stalled_at}." if self.stalled_at else ""
        self._see("event loop", self._lag, limits.loop_lag_seconds, f"The event loop keeps work waiting {{}}.{at}", "s")
        self._see("processor", self._cpu, limits.cpu, "The process keeps {} busy.", "processors")
        self._see("memory", now.memory, limits.memory_bytes, "The process has {} of memory.", "bytes")
        most = now.open_files_limit and int(limits.open_files * now.open_files_limit)
        self._see("open files", now.open_files, most, "The process has {} open.", "files")
        self._see_least("disk", now.disk_free, limits.disk_free_bytes)

    def _see(self, name: str, value: float | None, limit: float | None, sentence: str, unit: str) -> None:
        if value is None:
            self._thresholds[name].see(0.0, "this system does not tell")
            return
        measured = sentence.format(f"{_figure(value)} {unit}")
        pressure = value / limit if limit else 0.0
        self._thresholds[name].see(pressure, measured if limit is None else f"{measured} Limit: {_figure(limit)}.")

    def _see_least(self, name: str, value: int | None, least: int) -> None:
        if value is None:
            self._thresholds[name].see(0.0, "this system does not tell")
            return
        told = f"{_figure(value)} bytes are free on the disk that holds the data. Least: {_figure(least)}."
        self._thresholds[name].see(least / value if value else float(least > 0), told)

    def _stalled(self, place: str) -> None:
        """Called in the thread of the pulse while the loop stands still."""
        self._stalls.inc()
        self.stalls += 1
        now = monotonic()
        if place != self.stalled_at or now - self._told_at >= SILENCE_SECONDS:
            log.warning("loop.stalled", place=place, limit_s=self._settings.loop_lag_seconds)
            self._told_at = now
        self.stalled_at = place


def _figure(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:,.3g}"
