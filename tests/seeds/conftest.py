"""What blocks run in: a folder, metrics, checks and logging of their own, and a clock that can be told to move on."""

import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from antiphon.cache import cache
from antiphon.runtime.clock import SystemClock
from antiphon.runtime.current import Current
from antiphon.telemetry import health, metrics, profile
from tests.seeds.extract import FOLDER


@pytest.fixture(autouse=True)
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In an empty folder, and with nothing in the process's cache, metrics, profile and checks."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(cache, "_current", Current(cache.Cache))
    monkeypatch.setattr(metrics, "_current", Current(metrics.Metrics))
    monkeypatch.setattr(profile, "_current", Current(profile.PerformanceProfiler))
    monkeypatch.setattr(health, "_current", Current(health.HealthChecker))


@pytest.fixture
def let_pass(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Moves the machine's clock on by so many seconds, for all who ask ours for the time."""
    ahead = 0.0
    real = SystemClock.monotonic
    monkeypatch.setattr(SystemClock, "monotonic", lambda clock: real(clock) + ahead)

    def move(seconds: float) -> None:
        nonlocal ahead
        ahead += seconds

    return move


@pytest.fixture
def calls() -> Iterator[Counter[str]]:
    """How often each function was entered that stands in one of the documents, by name."""
    counted: Counter[str] = Counter()
    folder = str(FOLDER)

    def count(frame: FrameType, event: str, _: Any) -> None:
        if event == "call" and frame.f_code.co_filename.startswith(folder):
            counted[frame.f_code.co_name] += 1

    before = sys.getprofile()
    sys.setprofile(count)
    yield counted
    sys.setprofile(before)
