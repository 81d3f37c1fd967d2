"""Several processes share the tests of a large run: how many they are, and what only one of them does at a time.

pytest-xdist gives each a stretch of the tests in their order, so that those of a module stay together and share its
servers; who is done takes over half of what another still has. Each process has servers, ports and folders of its own.
"""

import fcntl
import os
import signal
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

FEW = 20
"""Files whose tests one process runs: each that is started has to find all the tests first."""
FEWEST, MOST = 2, 4
"""Processes. Much of the suite waits, so two find work also on one core; each has servers of its own, and a container
may have fewer cores than it is told of."""

LONGEST = 600.0
"""Seconds for what is installed or built before a test."""


def processes(named: Sequence[str]) -> int:
    """How many run the tests of these paths; 0 when this one does it itself."""
    return max(FEWEST, min(MOST, os.cpu_count() or 1)) if _files(named) > FEW else 0


def _files(named: Sequence[str]) -> int:
    found: set[Path] = set()
    for name in named:
        path = Path(name.partition("::")[0])
        found.update(path.rglob("test_*.py") if path.is_dir() else {path})
    return len(found)


@contextmanager
def one_at_a_time(folder: Path) -> Iterator[None]:
    """Whoever comes second waits, in whatever process, until the first is done with the folder: what is installed or
    built there is found by all others. None of it is part of the time of the test that happens to be first."""
    left, _ = signal.setitimer(signal.ITIMER_REAL, 0)
    if left:  # pytest-timeout runs: it also ends what hangs here
        signal.setitimer(signal.ITIMER_REAL, LONGEST)
    try:
        with _locked(folder, fcntl.LOCK_EX):
            yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, left)


@contextmanager
def _locked(path: Path, how: int) -> Iterator[None]:
    file = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(file, how)
        yield
    finally:
        os.close(file)


class Neighbours:
    """In each process that shares the tests: one that is marked `alone` runs while the others pause between theirs.

    Waiting is no part of a test's time.
    """

    def __init__(self, folder: Path) -> None:
        """All of them are given the same folder."""
        self._door, self._room = folder / "door", folder / "room"
        self._door.touch()
        self._room.touch()

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        alone = item.get_closest_marker("alone") is not None
        with ExitStack() as inside:
            # Whoever waits for the room to be empty holds the door, else the others would go in past it for ever.
            with _locked(self._door, fcntl.LOCK_EX):
                inside.enter_context(_locked(self._room, fcntl.LOCK_EX if alone else fcntl.LOCK_SH))
            return (yield)


def pytest_configure(config: pytest.Config) -> None:
    if hasattr(config, "workerinput"):
        # xdist gives each process a folder inside one of the whole run.
        config.pluginmanager.register(Neighbours(Path(config.option.basetemp).parent), "neighbours")
