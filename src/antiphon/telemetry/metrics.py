"""Metrics in the Prometheus text format, in a registry of the workspace's own.

An object asks for its instruments once, in its constructor, and keeps the children of labels it uses often:
`labels()` costs three times the increment.
"""

import time
from collections.abc import Callable, Sequence
from threading import Lock
from typing import TypeVar

from msgspec import Struct
from prometheus_client import CollectorRegistry, Counter, Gauge, GCCollector, Histogram, ProcessCollector
from prometheus_client.exposition import generate_latest

from antiphon.errors import ValidationError
from antiphon.runtime.current import Current

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
"""The media type of `Metrics.render()`."""

ANSWER_BUCKETS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0)
"""Seconds, for what waits for a model: some answers take minutes."""

Instrument = TypeVar("Instrument", Counter, Gauge, Histogram)


class Percentiles(Struct, frozen=True, kw_only=True):
    """Seconds within which so many of the counted were done, as exact as the buckets are: beyond the last bucket it
    is the bound of that bucket."""

    count: int
    p50: float
    p95: float
    p99: float


class Metrics:
    """Every instrument of a process. Asking twice for a name gives the same instrument; thread-safe."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._instruments: dict[str, tuple[Counter | Gauge | Histogram, tuple[object, ...]]] = {}
        self._lock = Lock()
        ProcessCollector(registry=self._registry)
        GCCollector(registry=self._registry)
        started = time.monotonic()
        uptime = self.gauge("antiphon_uptime_seconds", "Seconds since this process began to count.")
        uptime.set_function(lambda: time.monotonic() - started)

    def counter(self, name: str, documentation: str = "", labelnames: Sequence[str] = ()) -> Counter:
        """A value that only grows; by convention the name ends in `_total`."""
        make = lambda: Counter(name, documentation, labelnames, registry=self._registry)  # noqa: E731
        return self._instrument(Counter, name, (tuple(labelnames),), make)

    def gauge(self, name: str, documentation: str = "", labelnames: Sequence[str] = ()) -> Gauge:
        """A value that goes up and down."""
        make = lambda: Gauge(name, documentation, labelnames, registry=self._registry)  # noqa: E731
        return self._instrument(Gauge, name, (tuple(labelnames),), make)

    def histogram(
        self,
        name: str,
        documentation: str = "",
        labelnames: Sequence[str] = (),
        *,
        buckets: Sequence[float] = Histogram.DEFAULT_BUCKETS,
    ) -> Histogram:
        """A distribution, by default of seconds between 5 ms and 10 s; by convention the name ends in its unit."""
        make = lambda: Histogram(name, documentation, labelnames, buckets=buckets, registry=self._registry)  # noqa: E731
        return self._instrument(Histogram, name, (tuple(labelnames), tuple(buckets)), make)

    def percentiles(self) -> dict[str, Percentiles]:
        """Of every histogram of seconds that has counted something, all its labels together, since the start."""
        with self._lock:
            found = [(name, made) for name, (made, _) in self._instruments.items() if name.endswith("_seconds")]
        told = ((name, _percentiles(made)) for name, made in found if isinstance(made, Histogram))
        return {name: percentiles for name, percentiles in told if percentiles.count}

    def render(self) -> bytes:
        """Everything in the Prometheus text format, for `GET /metrics`."""
        return generate_latest(self._registry)

    def _instrument(
        self, kind: type[Instrument], name: str, shape: tuple[object, ...], make: Callable[[], Instrument]
    ) -> Instrument:
        with self._lock:
            found, known_shape = self._instruments.get(name, (None, shape))
            if found is None:
                found = make()
                self._instruments[name] = (found, shape)
            if not isinstance(found, kind) or known_shape != shape:
                raise ValidationError(
                    f"The metric {name} exists with another type, labels or buckets; "
                    "use the same everywhere or choose another name."
                )
            return found


def _percentiles(histogram: Histogram) -> Percentiles:
    buckets: dict[float, float] = {}
    for sample in (sample for family in histogram.collect() for sample in family.samples):
        if sample.name.endswith("_bucket"):
            bound = float(sample.labels["le"])
            buckets[bound] = buckets.get(bound, 0.0) + sample.value
    bounds = sorted(buckets)
    count = buckets[bounds[-1]] if bounds else 0.0

    def within(part: float) -> float:
        """As Prometheus's `histogram_quantile`: evenly spread inside a bucket."""
        lower, below = 0.0, 0.0
        for bound in bounds[:-1]:
            if buckets[bound] >= part * count:
                return lower + (bound - lower) * (part * count - below) / (buckets[bound] - below)
            lower, below = bound, buckets[bound]
        return lower

    if not count:
        return Percentiles(count=0, p50=0.0, p95=0.0, p99=0.0)
    return Percentiles(count=int(count), p50=within(0.5), p95=within(0.95), p99=within(0.99))


_current = Current(Metrics)


def get_metrics() -> Metrics:
    """The running workspace's metrics; where none runs, a process default which the first one to start adopts."""
    return _current.get()


def adopt(metrics: Metrics | None = None) -> Metrics:
    """The metrics a starting workspace is to use; `get_metrics` returns them unless another workspace came first."""
    return _current.adopt(metrics)


def release(metrics: Metrics) -> None:
    """Called by the workspace that stopped; what was counted stays and the next workspace goes on with it."""
    _current.release(metrics)
