"""A terminal window that is closed while its server answers: what was accepted is answered, and the server ends."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.serving import LONGEST, Served, Visitors, environment

pty = pytest.importorskip("pty", reason="there are no terminals of this kind here")

ADOPT = """
import fcntl, os, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.executable, [sys.executable, "-m", "antiphon", "serve", "--port", "0"])
"""
"""Takes the terminal as its own, as the shell of a window does, so that it is told when the window is closed."""


class Window:
    """A terminal in which `antiphon serve` was typed."""

    def __init__(self, folder: Path) -> None:
        self._end, terminal = pty.openpty()
        self.process = subprocess.Popen(
            [sys.executable, "-c", ADOPT],
            cwd=folder,
            env=environment(folder, NO_COLOR="1"),
            stdin=terminal,
            stdout=terminal,
            stderr=terminal,
            start_new_session=True,
        )
        os.close(terminal)
        self.shown = ""

    def url(self) -> str:
        """The address, once it is shown."""
        while (found := re.search(r"Antiphon\s+(http://\S+)\s", self.shown)) is None or "stops" not in self.shown:
            self.shown += os.read(self._end, 4096).decode()
        return found[1]

    def close(self) -> None:
        if self._end >= 0:
            os.close(self._end)
            self._end = -1

    def end(self) -> None:
        self.close()
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(LONGEST)


@pytest.fixture
def window(tmp_path: Path) -> Iterator[Window]:
    opened = Window(tmp_path)
    yield opened
    opened.end()


async def test_closing_the_terminal_lets_answers_finish_and_loses_nothing(
    window: Window, visitors: Visitors, served: Served
) -> None:
    visitor = await visitors.enter(window.url())
    running = await visitor.say("!slow 20 !long 40")
    waiting = [(await visitor.say(f"!echo {number}"))["turn_id"] for number in range(3)]
    await visitor.until("delta", turn_id=running["turn_id"])
    window.close()
    answer = await visitor.answer(running["turn_id"])
    assert (answer["status"], answer["text"]) == ("answered", visitor.said[running["turn_id"]])
    assert window.process.wait(LONGEST) == 0
    served.start()
    again = await visitors.enter(served.url, visitor.conversation_id)
    await again.see(lambda: len(again.shown()) == 8)
    assert [message["status"] for message in again.shown()] == ["answered"] * 8
    replies = {message["turn_id"]: message["text"] for message in again.shown() if message["role"] == "assistant"}
    assert replies == {running["turn_id"]: answer["text"]} | {turn: str(n) for n, turn in enumerate(waiting)}
