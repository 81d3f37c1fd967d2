"""The door: finds or starts the server, and chooses between a person and a pipe."""

import io
import sys
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from antiphon.cli.chat.network import LocalHouse, Network
from antiphon.cli.chat.piped import Pipe
from antiphon.cli.chat.screen import Screen
from antiphon.cli.chat.talk import Talk
from antiphon.cli.chat.terminal import Terminal
from antiphon.settings.config import Config
from antiphon.storage.open import open_claim
from antiphon.telemetry.logs import setup_logging

KEPT_LINES = 200
"""Of the log, which is written once the screen is left."""


def chat(path: Path | None, *, url: str | None, conversation: str | None, assistant: str | None, debug: bool) -> None:
    """Talks until the person leaves or the input ends.

    Raises `AntiphonError` when there is nobody to talk to and, without a terminal, when an answer was not given.
    """
    person = sys.stdin.isatty() and sys.stdout.isatty()
    for stream in (sys.stdin, sys.stdout):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    with _log(debug, held=person), Network() as network, _reached(network, path, url) as (where, command):
        _talk(network, where, conversation, assistant, go_on=command if person else None)


@contextmanager
def _reached(network: Network, path: Path | None, url: str | None) -> Iterator[tuple[str, str]]:
    """A server to talk to, and the command that leads to it: the one given, the one that answers from our database
    already, or one in this process."""
    if url is not None:
        yield url, f"antiphon chat --url {url}"
        return
    config = Config.load(path, server={"host": "127.0.0.1", "port": 0})
    holders = network.run(open_claim(config.database).holders())
    url = next((holder.url for holder in holders if holder.url is not None), None)
    if url is not None:
        yield url, "antiphon chat"
        return
    house = LocalHouse(config)
    try:
        yield network.run(house.start()), "antiphon chat"
    finally:
        network.run(house.stop())


def _talk(network: Network, url: str, conversation: str | None, assistant: str | None, *, go_on: str | None) -> None:
    """`go_on` is the command that a person may go on with; None when there is no person."""
    screen = Screen()
    listener = Pipe() if go_on is None else Terminal(screen, url.rstrip("/"))
    talk = Talk(url, listener.tell, conversation=conversation, assistant=assistant)
    try:
        opening = network.run(talk.open())
        if isinstance(listener, Terminal):
            listener.run(opening, talk, network)
            screen.leave(f"{go_on} --conversation {talk.conversation}" if talk.conversation else None)
        else:
            listener.run(talk, network)
    finally:
        network.run(talk.close())


@contextmanager
def _log(debug: bool, *, held: bool) -> Iterator[None]:
    """Warnings go to stderr, and nothing else unless `debug`. `held`: once the screen is left, not across it."""
    kept = _KeptLines()
    setup_logging("DEBUG" if debug else "WARNING", "console", stream=kept if held else sys.stderr)
    try:
        yield
    finally:
        sys.stderr.writelines(kept.lines)


class _KeptLines(io.StringIO):
    """A stream that keeps the last lines written to it."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: deque[str] = deque(maxlen=KEPT_LINES)

    def write(self, text: str, /) -> int:
        self.lines.append(text)
        return len(text)
