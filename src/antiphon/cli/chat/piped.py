"""Without a terminal: each line of the input is a message, each answer is plain text on the output."""

import os
import sys
from queue import Empty, SimpleQueue
from typing import TextIO

from antiphon.cli.chat.events import (
    Event,
    HouseSaid,
    LinkChanged,
    NotSent,
    Sent,
    TurnAsks,
    TurnNotice,
    TurnOver,
    TurnSaid,
)
from antiphon.cli.chat.network import Network
from antiphon.cli.chat.talk import Talk
from antiphon.errors import ProcessingError, ServiceError

PATIENCE_SECONDS = 30.0
"""How long a lost connection may take to come back: nobody is there to stop a program that waits for ever."""


class Pipe:
    """Answers go to `output` as they come; the first that is refused or interrupted ends it with an error."""

    def __init__(self, source: TextIO = sys.stdin, output: TextIO = sys.stdout) -> None:
        self._source = source
        self._output = output
        self._events: SimpleQueue[Event] = SimpleQueue()
        self._connected = True

    def tell(self, event: Event) -> None:
        self._events.put(event)

    def run(self, talk: Talk, network: Network) -> None:
        """Until the input ends. Raises `ProcessingError` with the sentence of an answer that was not given."""
        first = True
        for line in self._source:
            if not line.strip():
                continue
            if line.strip() in {"/quit", "/exit"}:
                return
            if not first:
                self._write("\n")
            first = False
            network.start(talk.send, line.rstrip("\r\n"))
            try:
                self._answer()
            except KeyboardInterrupt:
                network.run(talk.cancel())
                raise

    def _answer(self) -> None:
        """Writes the answer to the message that was just sent, and nothing of other clients'."""
        turn: str | None = None
        reason, ends = "", "\n"
        while True:
            event = self._next()
            if isinstance(event, NotSent):
                raise ProcessingError(event.reason)
            if isinstance(event, Sent):
                turn = event.turn_id
            if getattr(event, "turn_id", None) != turn:
                continue
            match event:
                case TurnSaid(text=text) | HouseSaid(text=text, status="answered") if text:
                    self._write(text)
                    ends = text[-1]
                case TurnNotice(text=text) | HouseSaid(text=text):
                    reason = text
                case TurnAsks(text=text):
                    self._write(f"{text}\n")
                    return
                case TurnOver(status=status):
                    self._write("" if ends == "\n" else "\n")
                    if status in {"refused", "interrupted"}:
                        raise ProcessingError(reason or "The answer was interrupted.")
                    return

    def _next(self) -> Event:
        try:
            event = self._events.get(timeout=None if self._connected else PATIENCE_SECONDS)
        except Empty:
            raise ServiceError(
                f"The connection to the server was lost and did not come back within {PATIENCE_SECONDS:.0f} s."
            ) from None
        if isinstance(event, LinkChanged):
            self._connected = event.up
        return event

    def _write(self, text: str) -> None:
        try:
            self._output.write(text)
            self._output.flush()
        except OSError as error:
            # What was not written must not be tried again, and complained about, when the interpreter leaves.
            os.dup2(os.open(os.devnull, os.O_WRONLY), self._output.fileno())
            if isinstance(error, BrokenPipeError):  # whoever read the answers has gone and wants no sentence
                sys.exit(1)
            raise ServiceError(f"The answer cannot be written: {error.strerror}.") from error
