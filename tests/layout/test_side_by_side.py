"""The processes that share a large run: how many, who waits for whom, and what is counted of all of them."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from tests.side_by_side import FEW, FEWEST, MOST, one_at_a_time, processes

LONGEST = 50

CONFTEST = """
from tests import {plugins}

def pytest_configure(config):
    for plugin in ({plugins},):
        config.pluginmanager.register(plugin)
"""

SMALL = """
import os, time
from pathlib import Path
import pytest
from antiphon.telemetry.logs import get_logger

def spend():
    began = time.monotonic()
    get_logger("antiphon.tests").warning("test.ran")
    time.sleep(0.02)
    with Path(__file__).with_name("times").open("a") as times:
        times.write(f"{os.getpid()} {os.environ['PYTEST_CURRENT_TEST'].partition('::')[2].partition('[')[0]} "
                    f"{began} {time.monotonic()}\\n")

@pytest.mark.parametrize("number", range(30))
def test_with_others(number):
    spend()

@pytest.mark.alone
@pytest.mark.parametrize("number", range(3))
def test_by_itself(number):
    spend()

@pytest.mark.parametrize("number", range(30))
def test_with_others_again(number):
    spend()
"""

HANGING = """
import subprocess, sys
from pathlib import Path

def test_that_waits_for_ever(tmp_path):
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    try:
        Path(__file__).with_name(f"child-{child.pid}").touch()
        child.wait()
    finally:
        child.kill()
        child.wait()
"""

SECOND = """
import sys
from pathlib import Path
folder, *sys.path = sys.argv[1:]
from tests.side_by_side import one_at_a_time
print("here", flush=True)
with one_at_a_time(Path(folder)), (Path(folder) / "filled").open("a") as filled:
    filled.write(", then by the second")
"""


def small_suite(folder: Path, root: Path, plugins: str, **files: str) -> None:
    """Tests that have these plugins of ours; those that need them all take seconds to start."""
    ini = f"[pytest]\npythonpath = {root} {root / 'src'}\nmarkers = alone: by itself\ntimeout = {LONGEST}\n"
    (folder / "pytest.ini").write_text(ini)
    (folder / "conftest.py").write_text(CONFTEST.format(plugins=plugins))
    for name, text in files.items():
        (folder / f"{name}.py").write_text(text)


def command(folder: Path) -> list[str]:
    plugins = ("-p", "no:cacheprovider", "-p", "xdist", "-p", "pytest_timeout")
    return [sys.executable, "-m", "pytest", *plugins, "-n2", "--dist=worksteal", str(folder)]


def environment() -> dict[str, str]:
    """Without what pytest tells its processes, and without plugins that take seconds to load."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    return {**kept, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}


def test_who_is_alone_has_no_neighbour_and_a_hang_is_told_and_all_is_counted(tmp_path: Path, root: Path) -> None:
    hanging = HANGING.replace("def test", "import pytest\n\n@pytest.mark.timeout(1)\ndef test")
    small_suite(tmp_path, root, "logs, side_by_side", test_hanging=hanging, test_small=SMALL)
    done = subprocess.run(
        command(tmp_path), cwd=tmp_path, env=environment(), capture_output=True, text=True, timeout=LONGEST
    )
    assert done.returncode == pytest.ExitCode.TESTS_FAILED, done.stdout + done.stderr
    assert "Timeout (>1.0s)" in done.stdout
    assert "child.wait()" in done.stdout
    assert re.search(r"^logs: 63 lines of 64 tests hold none", done.stdout, re.MULTILINE), done.stdout
    rows = [line.split() for line in (tmp_path / "times").read_text().splitlines()]
    times = [(process, name, float(began), float(ended)) for process, name, began, ended in rows]
    assert len(times) == 63
    assert len({process for process, *_ in times}) == 2
    for process, name, began, ended in times:
        if name == "test_by_itself":
            assert [row for row in times if row[0] != process and row[2] < ended and row[3] > began] == []


def test_an_interrupt_ends_every_process(tmp_path: Path, root: Path) -> None:
    small_suite(tmp_path, root, "side_by_side", test_hanging=HANGING, test_hanging_too=HANGING)
    running = subprocess.Popen(
        command(tmp_path), cwd=tmp_path, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        give_up = time.monotonic() + LONGEST
        while len(list(tmp_path.glob("child-*"))) < 2:
            assert running.poll() is None
            assert time.monotonic() < give_up
            time.sleep(0.02)
        everybody = psutil.Process(running.pid).children(recursive=True)
        running.send_signal(signal.SIGINT)
        assert running.wait(LONGEST) == pytest.ExitCode.INTERRUPTED
        assert psutil.wait_procs(everybody, LONGEST)[1] == []
    finally:
        running.kill()
        running.wait()


def test_few_files_are_run_by_one_process(tmp_path: Path) -> None:
    for number in range(FEW + 1):
        (tmp_path / f"test_{number}.py").touch()
    assert FEWEST <= processes([str(tmp_path)]) <= MOST
    some = [str(tmp_path / f"test_{number}.py::test_one") for number in range(FEW)]
    assert processes(some) == processes([f"{tmp_path}/test_0.py::test_{number}" for number in range(50)]) == 0
    assert processes([*some, str(tmp_path)]) > 0


def test_a_folder_is_filled_by_one_at_a_time(tmp_path: Path) -> None:
    with one_at_a_time(tmp_path):
        second = subprocess.Popen([sys.executable, "-c", SECOND, str(tmp_path), *sys.path], stdout=subprocess.PIPE)
        assert second.stdout is not None
        assert second.stdout.readline() == b"here\n"
        (tmp_path / "filled").write_text("by the first")
    second.communicate(timeout=LONGEST)
    assert second.returncode == 0
    assert (tmp_path / "filled").read_text() == "by the first, then by the second"


def test_the_time_of_a_test_stands_still_meanwhile(tmp_path: Path) -> None:
    before, _ = signal.getitimer(signal.ITIMER_REAL)
    with one_at_a_time(tmp_path):
        assert signal.getitimer(signal.ITIMER_REAL)[0] > before
    assert 0 < signal.getitimer(signal.ITIMER_REAL)[0] <= before
