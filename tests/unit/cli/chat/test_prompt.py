"""The signals that the prompt takes, when they come at a bad moment; `tests/flows/test_terminal.py` types at it."""

import os
import signal
import threading

import pytest

from antiphon.cli.chat import prompt as module
from antiphon.cli.chat.prompt import LinePrompt

pytestmark = pytest.mark.skipif(os.name == "nt", reason="there are no such signals here")


def test_nobody_signals_any_more_when_the_signals_are_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """A Ctrl-C just before the end would otherwise be repeated to a process that does not expect it, and end it."""
    monkeypatch.setattr(module, "_readline", lambda: None)
    stopped: list[bool] = []
    prompt = LinePrompt(lambda: None, lambda: stopped.append(True), plain=True, dumb=True)
    before = signal.getsignal(signal.SIGINT)
    with prompt.installed():
        os.kill(os.getpid(), signal.SIGINT)
    assert stopped == [True]
    assert "ctrl-c" not in {thread.name for thread in threading.enumerate()}
    assert signal.getsignal(signal.SIGINT) is before
