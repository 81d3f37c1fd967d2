import subprocess
import sys
import threading

import pytest

from antiphon.errors import ValidationError
from antiphon.telemetry.metrics import Metrics, adopt, get_metrics, release


def test_instruments_show_in_the_text() -> None:
    metrics = Metrics()
    metrics.counter("requests_total", "Requests.", ("method",)).labels("GET").inc(3)
    metrics.gauge("active_connections").set(10)
    metrics.histogram("request_duration_seconds", buckets=(0.1, 1.0)).observe(0.245)
    text = metrics.render().decode()
    assert '# HELP requests_total Requests.\n# TYPE requests_total counter\nrequests_total{method="GET"} 3.0' in text
    assert "active_connections 10.0" in text
    assert 'request_duration_seconds_bucket{le="0.1"} 0.0' in text
    assert 'request_duration_seconds_bucket{le="1.0"} 1.0' in text


def test_process_gc_and_uptime_are_there_from_the_start() -> None:
    text = Metrics().render().decode()
    assert "python_gc_collections_total" in text
    uptime = float(text.split("\nantiphon_uptime_seconds ")[1].split()[0])
    assert 0 <= uptime < 60
    if sys.platform == "linux":
        assert "process_resident_memory_bytes" in text


def test_the_same_name_gives_the_same_instrument() -> None:
    metrics = Metrics()
    assert metrics.counter("a_total", "Once.") is metrics.counter("a_total", "Told differently.")
    assert metrics.histogram("b_seconds") is metrics.histogram("b_seconds")


def test_a_name_is_one_thing_only() -> None:
    metrics = Metrics()
    metrics.counter("a_total", "", ("x",))
    metrics.histogram("b_seconds")
    for clash in (
        lambda: metrics.gauge("a_total", "", ("x",)),
        lambda: metrics.counter("a_total"),
        lambda: metrics.counter("a_total", "", ("y",)),
        lambda: metrics.histogram("b_seconds", buckets=(1.0,)),
    ):
        with pytest.raises(ValidationError, match="exists with another type, labels or buckets"):
            clash()


def test_workspaces_of_one_process_count_apart() -> None:
    one, two = Metrics(), Metrics()
    one.counter("a_total").inc()
    assert "a_total 1.0" in one.render().decode()
    assert "a_total" not in two.render().decode()


def test_threads_that_ask_together_share_one_instrument() -> None:
    metrics, barrier = Metrics(), threading.Barrier(16)

    def count() -> None:
        barrier.wait()
        for _ in range(100):
            metrics.counter("a_total").inc()

    threads = [threading.Thread(target=count) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert "a_total 1600.0" in metrics.render().decode()


def test_the_first_workspace_adopts_what_was_counted_before_it() -> None:
    early = get_metrics()
    adopted, second = adopt(), adopt()
    try:
        assert adopted is early
        assert second is not early
        assert get_metrics() is early
    finally:
        release(adopted)


def test_a_process_that_only_asks_needs_no_workspace() -> None:
    program = (
        "from antiphon.telemetry.metrics import get_metrics\n"
        "get_metrics().counter('a_total').inc()\nprint(get_metrics().render().decode())"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=True)
    assert "a_total 1.0" in done.stdout


def test_percentiles_of_what_was_timed_as_prometheus_would_tell_them() -> None:
    metrics = Metrics()
    store = metrics.histogram("antiphon_store_seconds", "Store.", ("lane",), buckets=(1.0, 2.0, 4.0))
    metrics.histogram("antiphon_quiet_seconds", "Nothing happened yet.")
    metrics.histogram("antiphon_store_units", "No time.", buckets=(1, 2)).observe(1)
    for _ in range(50):
        store.labels("reader").observe(0.5)
        store.labels("writer").observe(1.5)
    told = metrics.percentiles()
    assert list(told) == ["antiphon_store_seconds"]
    times = told["antiphon_store_seconds"]
    assert (times.count, times.p50) == (100, 1.0)
    assert times.p95 == pytest.approx(1.9)
    for _ in range(10_000):
        store.labels("reader").observe(100.0)
    assert metrics.percentiles()["antiphon_store_seconds"].p99 == 4.0


def test_documents_ask_for_metrics_without_a_documentation() -> None:
    metrics = Metrics()
    metrics.counter("requests_total").inc()
    metrics.gauge("active_connections").set(10)
    metrics.histogram("request_duration").observe(0.245)
    told = metrics.render().decode()
    for line in ("requests_total 1.0", "active_connections 10.0", "request_duration_count 1.0"):
        assert f"\n{line}\n" in told
    assert "antiphon_uptime_seconds " in told
