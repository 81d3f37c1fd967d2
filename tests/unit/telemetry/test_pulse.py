import asyncio
import json
import subprocess
import sys
import threading
import time

import pytest

from antiphon.telemetry import pulse as module
from antiphon.telemetry.health import HealthChecker
from antiphon.telemetry.metrics import Metrics
from antiphon.telemetry.monitoring import MonitoringService
from antiphon.telemetry.pulse import LoopPulse


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PULSE_SECONDS", 0.005)


def grind(until: threading.Event) -> None:
    while not until.is_set():
        time.sleep(0.001)


async def handle_message(until: threading.Event) -> None:
    await asyncio.sleep(0)
    grind(until)


@pytest.mark.parametrize("anyio_backend", ["asyncio", "uvloop"], indirect=True)
async def test_it_names_who_holds_the_loop_up_and_measures_for_how_long() -> None:
    places, stalled = list[str](), threading.Event()

    def take(place: str) -> None:
        places.append(place)
        stalled.set()

    pulse = LoopPulse(0.02, take)
    pulse.start()
    await asyncio.create_task(handle_message(stalled))
    pulse.stop()
    assert len(places) == 1
    assert "grind" in places[0]
    assert places[0].endswith("in handle_message")
    assert ":" in places[0]
    assert "/" not in places[0], "no path of this machine"
    assert pulse.take_worst() >= 0.02
    assert pulse.take_worst() == 0.0


async def test_a_loop_that_only_waits_is_no_stall() -> None:
    places = list[str]()
    pulse = LoopPulse(5.0, places.append)
    pulse.start()
    deadline = time.monotonic() + 10
    while pulse._worst == 0.0:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.001)
    pulse.stop()
    assert places == []
    assert pulse.take_worst() < 5.0


async def test_the_same_place_is_logged_once_a_minute_and_counted_each_time(logged: list[dict[str, object]]) -> None:
    metrics = Metrics()
    service = MonitoringService(checks=HealthChecker(), metrics=metrics)
    for place in ("a:1 f", "a:1 f", "b:2 g", "b:2 g"):
        service._stalled(place)
    assert [line["place"] for line in logged if line["event"] == "loop.stalled"] == ["a:1 f", "b:2 g"]
    assert "antiphon_loop_stalls_total 4.0" in metrics.render().decode()


def test_a_loop_that_was_closed_ends_it() -> None:
    program = (
        "import asyncio, json, threading, time\n"
        "from antiphon.telemetry import pulse\n"
        "pulse.PULSE_SECONDS = 0.001\n"
        "async def main():\n"
        "    pulse.LoopPulse(1.0, print).start()\n"
        "asyncio.run(main())\n"
        "for _ in range(1000):\n"
        "    if threading.active_count() == 1: break\n"
        "    time.sleep(0.01)\n"
        "print(json.dumps(threading.active_count()))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=True)
    assert (json.loads(done.stdout), done.stderr) == (1, "")


async def test_who_stops_it_is_not_taken_for_somebody_who_holds_the_loop_up() -> None:
    places = list[str]()
    pulse = LoopPulse(0.2, places.append)
    pulse.start()
    (thread,) = (each for each in threading.enumerate() if each.name == "loop pulse")
    time.sleep(0.05)  # a beat is out that only the loop can answer
    pulse.stop()
    thread.join(10)
    assert (thread.is_alive(), places) == (False, [])
