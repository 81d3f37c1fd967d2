"""Settings of a running server: SIGHUP reads them again, a closed terminal stops it, a wrong file changes nothing."""

import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Callable

import pytest

from tests.serving import LONGEST, Served, Visitors, environment

pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="this system has no SIGHUP")


def wait_for(find: Callable[[], object], served: Served) -> None:
    give_up = time.monotonic() + LONGEST
    while not find():
        assert served.process.poll() is None, served.log
        assert time.monotonic() < give_up, served.log
        time.sleep(0.01)


async def test_sighup_takes_what_may_change_while_people_talk(served: Served, visitors: Visitors) -> None:
    settings = served.folder / "antiphon.yaml"
    settings.write_text("assistants: {instructions: Be brief.}\n")
    served.start()
    visitor = await visitors.enter(served.url)
    assert "`demo` answers in this conversation" in (await visitor.ask("/model demo"))["text"]
    settings.write_text("log_level: DEBUG\nfeatures: {choose_model: false}\nserver: {max_body_bytes: 4096}\n")
    served.process.send_signal(signal.SIGHUP)
    wait_for(lambda: "config.reloaded" in served.log, served)
    assert '"setting":"server.max_body_bytes"' in served.log
    assert "The operator chooses the model here" in (await visitor.ask("/model demo"))["text"]
    assert (await visitor.ask("/model"))["text"] == "`demo` answers here (chosen by: system)."
    settings.write_text("log_level: [")
    served.process.send_signal(signal.SIGHUP)
    wait_for(lambda: "config.refused" in served.log, served)
    assert (await visitor.ask("!echo still here"))["text"] == "still here"
    assert served.stop() == 0


async def test_a_changed_file_is_taken_without_a_signal(served: Served, visitors: Visitors) -> None:
    settings = served.folder / "antiphon.yaml"
    settings.write_text("watch_seconds: 0.1\n")
    served.start()
    settings.write_text("watch_seconds: 0.1\nfeatures: {choose_model: false}\n")
    wait_for(lambda: "config.reloaded" in served.log, served)
    visitor = await visitors.enter(served.url)
    assert "The operator chooses the model here" in (await visitor.ask("/model demo"))["text"]
    assert served.stop() == 0


async def test_a_closed_terminal_stops_it_in_order(served: Served) -> None:
    """Its own session with a terminal that it controls, as a shell in a window has it."""
    ours, theirs = pty.openpty()
    take_terminal = "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); "
    program = (
        f"{take_terminal} sys.argv = ['antiphon', 'serve', '--port', '0']; from antiphon.cli.main import main; main()"
    )
    log = served.folder / "log"
    with log.open("wb") as stderr:
        process = subprocess.Popen(
            [sys.executable, "-c", program],
            cwd=served.folder,
            env=environment(served.folder),
            stdin=theirs,
            stdout=stderr,
            stderr=stderr,
            start_new_session=True,
        )
    os.close(theirs)
    try:
        give_up = time.monotonic() + LONGEST
        while "Ctrl-C stops" not in log.read_text():
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < give_up, log.read_text()
            time.sleep(0.01)
        process.send_signal(signal.SIGHUP)  # somebody asks for the settings; the terminal is still there
        os.close(ours)
        assert process.wait(LONGEST) == 0, log.read_text()
    finally:
        process.kill()
        process.wait()
    assert "store.closed" in log.read_text()
    assert "Traceback" not in log.read_text()
