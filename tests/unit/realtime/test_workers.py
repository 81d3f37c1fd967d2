"""Workers that die, hang, fail at the start and are left alone; and ports that somebody has."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from antiphon.realtime import workers
from antiphon.realtime.config import PhoenixConfig
from antiphon.realtime.server import bind
from antiphon.realtime.workers import LINK, SECRET, common_secret, is_worker, reserve
from tests.serving import LONGEST, SOURCE

PROGRAM = """
import asyncio, os, signal, sys, time
from pathlib import Path
from antiphon.realtime import workers
from antiphon.realtime.workers import common_secret, is_worker, run_workers, worker_failed, worker_is_ready

def say(text):
    os.write(1, f"{text}\\n".encode())

async def work(how):
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    def heard(number):
        say(f"{os.getpid()} heard {number.name}")
        if how != "deaf" and (how != "reloads" or number != signal.SIGHUP):
            stop.set()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        loop.add_signal_handler(number, heard, number)
    if how == "broken" or (how == "worse" and Path("started").exists()):
        sys.exit(7)
    if how == "explains":
        assert worker_failed("the sea is too rough")
        sys.exit(1)
    say(f"secret {common_secret()}")
    say("up")
    worker_is_ready(f" worker {os.getpid()}", stop.set)
    await stop.wait()
    if how == "explains later":
        assert worker_failed("the sea has become too rough")

workers.FIRST_PAUSE = 0.05
if sys.argv[1] == "reloads":
    workers.HANGUP_SECONDS = 0
if is_worker():
    asyncio.run(work(sys.argv[1]))
else:
    def ready(word):
        Path("started").touch()
        say(f"ready{word}")
    sys.exit(run_workers(["./python", *sys.argv], 2, on_ready=ready, on_failed=lambda why: say(f"because {why}")))
"""

ADOPT = """
import fcntl, runpy, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
sys.argv = sys.argv[1:]
runpy.run_path("program.py", run_name="__main__")
"""
"""Takes the terminal as its own, as the shell of a window does, so that it is told when the window is closed."""


class Supervised:
    """The program above with its workers."""

    def __init__(self, folder: Path, how: str, *, before: Sequence[str] = (), terminal: int | None = None) -> None:
        (folder / "program.py").write_text(PROGRAM)
        (folder / "adopt.py").write_text(ADOPT)
        self.python = folder / "python"
        self.python.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
        self.python.chmod(0o755)
        self._log = folder / "log"
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                [*before, sys.executable, *([] if terminal is None else ["adopt.py"]), "program.py", how],
                cwd=folder,
                env={**os.environ, "PYTHONPATH": str(SOURCE)},
                stdin=terminal,
                stdout=log,
                stderr=log,
                start_new_session=terminal is not None,
            )

    @property
    def log(self) -> str:
        return self._log.read_text()

    def pids(self) -> set[int]:
        return {child.pid for child in psutil.Process(self.process.pid).children()}

    def until(self, condition: Callable[[], object]) -> None:
        give_up = time.monotonic() + LONGEST
        while not condition():
            assert time.monotonic() < give_up, self.log
            time.sleep(0.01)

    def end(self) -> None:
        if self.process.poll() is None:
            left = psutil.Process(self.process.pid).children()
            self.process.kill()
            for child in left:
                with suppress(psutil.NoSuchProcess):
                    child.kill()
        self.process.wait(LONGEST)


Supervise = Callable[..., Supervised]


@pytest.fixture
def supervise(tmp_path: Path) -> Iterator[Supervise]:
    made: list[Supervised] = []

    def start(how: str, **more: Any) -> Supervised:
        made.append(Supervised(tmp_path, how, **more))
        return made[-1]

    yield start
    for each in made:
        each.end()


def started(supervise: Supervise, how: str = "well", **more: Any) -> Supervised:
    program = supervise(how, **more)
    program.until(lambda: "ready worker" in program.log)
    return program


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_is_handed_on_once_and_the_end_of_all_awaited(supervise: Supervise, how: signal.Signals) -> None:
    program = started(supervise)
    pids = program.pids()
    assert len(pids) == 2
    program.process.send_signal(how)
    assert program.process.wait(LONGEST) == 0
    assert sorted(line for line in program.log.splitlines() if "heard" in line) == sorted(
        f"{pid} heard {how.name}" for pid in pids
    )


def test_ready_is_told_once_when_all_are(supervise: Supervise) -> None:
    program = started(supervise)
    os.kill(min(program.pids()), signal.SIGKILL)
    program.until(lambda: program.log.count("up\n") == 3)
    assert program.log.count("ready worker ") == 1


def test_one_that_dies_is_replaced_and_the_other_not_touched(supervise: Supervise) -> None:
    program = started(supervise)
    before = program.pids()
    other = max(before)
    for number, signalled in enumerate((signal.SIGKILL, signal.SIGTERM), 3):  # who ends well was not asked by us either
        (dead,) = program.pids() - {other}
        os.kill(dead, signalled)
        program.until(lambda number=number: program.log.count("up\n") == number)  # type: ignore[misc]
        assert other in program.pids()
        assert dead not in program.pids()


def test_one_that_fails_when_it_is_started_again_is_tried_with_pauses(
    supervise: Supervise,
) -> None:
    program = started(supervise, "worse")
    os.kill(min(program.pids()), signal.SIGKILL)
    program.until(lambda: program.log.count("worker.died") >= 4)
    pauses = [
        part.split()[0].rstrip(",}") for part in program.log.replace('"again_in":', "again_in=").split("again_in=")[1:]
    ]
    assert [float(pause) for pause in pauses[:4]] == [0.05, 0.1, 0.2, 0.4]
    program.process.send_signal(signal.SIGTERM)
    assert program.process.wait(LONGEST) in {0, 7}


def test_a_start_that_fails_ends_all_with_its_code(supervise: Supervise) -> None:
    assert supervise("broken").process.wait(LONGEST) == 7


def test_what_all_die_of_at_the_start_is_said_once(supervise: Supervise) -> None:
    program = supervise("explains")
    assert program.process.wait(LONGEST) == 1
    assert program.log.count("because the sea is too rough\n") == 1


def test_what_a_worker_dies_of_later_is_said_too(supervise: Supervise) -> None:
    program = started(supervise, "explains later")
    os.kill(min(program.pids()), signal.SIGTERM)
    program.until(lambda: "because the sea has become too rough\n" in program.log)
    assert program.log.count("ready worker ") == 1


def test_who_has_no_supervisor_shows_it_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = socket.socketpair()
    ours.close()
    monkeypatch.setenv(LINK, str(theirs.detach()))
    assert not workers.worker_failed("the sea is too rough")
    assert not workers.worker_failed("nor is there a file any more")


def test_the_third_signal_kills_who_does_not_listen(supervise: Supervise) -> None:
    program = started(supervise, "deaf")
    for count in (2, 4):
        program.process.send_signal(signal.SIGINT)
        program.until(lambda count=count: program.log.count("heard SIGINT") == count)  # type: ignore[misc]
    program.process.send_signal(signal.SIGINT)
    assert program.process.wait(LONGEST) == 128 + signal.SIGKILL


def test_a_hangup_that_stops_the_workers_stops_the_whole(supervise: Supervise) -> None:
    program = started(supervise)
    program.process.send_signal(signal.SIGHUP)
    assert program.process.wait(LONGEST) == 0


def test_a_hangup_that_only_reloads_is_no_reason_to_end_later(supervise: Supervise) -> None:
    program = started(supervise, "reloads")
    before = program.pids()
    program.process.send_signal(signal.SIGHUP)
    program.until(lambda: program.log.count("heard SIGHUP") == 2)
    os.kill(min(before), signal.SIGTERM)
    program.until(lambda: program.log.count("up\n") == 3)
    assert max(before) in program.pids()


def test_a_terminal_that_is_closed_stops_workers_that_would_only_reload(supervise: Supervise) -> None:
    ours, theirs = os.openpty()
    program = started(supervise, "reloads", terminal=theirs)
    os.close(theirs)
    os.close(ours)
    assert program.process.wait(LONGEST) == 0
    assert program.log.count("heard SIGTERM") == 2


def test_what_was_started_to_survive_a_hangup_does(supervise: Supervise) -> None:
    program = started(supervise, before=["nohup"])
    before = program.pids()
    program.process.send_signal(signal.SIGHUP)
    os.kill(min(before), signal.SIGKILL)
    program.until(lambda: program.log.count("up\n") == 3)
    assert "heard" not in program.log
    assert max(before) in program.pids()


def test_one_that_cannot_be_started_is_tried_again(supervise: Supervise) -> None:
    program = started(supervise)
    away = program.python.rename(program.python.with_name("away"))
    os.kill(min(program.pids()), signal.SIGKILL)
    program.until(lambda: program.log.count("worker.not_started") >= 2)
    away.rename(program.python)
    program.until(lambda: program.log.count("up\n") == 3)
    assert len(program.pids()) == 2


async def test_a_program_that_is_not_there_is_no_start() -> None:
    assert await workers.Workers(["/nowhere/at/all"], 2).run() == os.EX_OSERR


def test_workers_that_are_left_alone_end(supervise: Supervise) -> None:
    program = started(supervise)
    left = psutil.Process(program.process.pid).children()
    program.process.kill()
    program.process.wait(LONGEST)
    assert psutil.wait_procs(left, LONGEST)[1] == []
    assert program.log.count("worker.left_alone") == 2


# --- the port -----------------------------------------------------------------------------------------------------


def test_a_reserved_port_is_shared_by_workers_and_nobody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    with reserve("127.0.0.1", 0) as held:
        port = held.getsockname()[1]
        monkeypatch.setenv(LINK, "0")
        assert is_worker()
        with bind("127.0.0.1", port), bind("127.0.0.1", port):
            monkeypatch.delenv(LINK)
            with pytest.raises(OSError, match="in use"):
                bind("127.0.0.1", port)
            with pytest.raises(OSError, match="in use"):
                reserve("127.0.0.1", port)
            with socket.create_connection(("127.0.0.1", port)):
                pass


def test_a_port_that_somebody_has_is_not_reserved() -> None:
    with bind("127.0.0.1", 0) as taken, pytest.raises(OSError, match="in use"):
        reserve("127.0.0.1", taken.getsockname()[1])


async def test_a_worker_needs_a_supervisor_to_be_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = socket.socketpair()
    left: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    monkeypatch.setenv(LINK, str(theirs.detach()))
    workers.worker_is_ready("here", lambda: left.set_result(None))
    assert ours.recv(100) == b"here"
    ours.close()
    await asyncio.wait_for(left, LONGEST)


def test_workers_share_a_secret_that_nobody_else_knows(supervise: Supervise) -> None:
    program = started(supervise)
    program.until(lambda: program.log.count("secret ") == 2)
    (told,) = {line for line in program.log.splitlines() if line.startswith("secret ")}
    assert len(told.removeprefix("secret ")) >= 64
    assert common_secret() is None


def test_the_variables_of_a_worker_are_no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (LINK, SECRET):
        monkeypatch.setenv(name, "7")
    assert PhoenixConfig.from_env().port == 4000
    assert common_secret() == "7"
    monkeypatch.delenv(LINK)
    assert common_secret() is None, "left over from somebody else"
