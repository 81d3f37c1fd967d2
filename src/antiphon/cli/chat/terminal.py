"""A person at a terminal: asks, sees the answer grow, stops it, leaves."""

from collections.abc import Callable
from contextlib import suppress
from queue import Empty, SimpleQueue

from antiphon.cli.chat.answer import AnswerView
from antiphon.cli.chat.attach import attached
from antiphon.cli.chat.events import (
    Event,
    HouseSaid,
    LinkChanged,
    NotSent,
    OtherSaid,
    Sent,
    StopAsked,
    TurnAsks,
    TurnBegan,
    TurnNotice,
    TurnOver,
    TurnSaid,
    TurnTool,
)
from antiphon.cli.chat.network import Network
from antiphon.cli.chat.prompt import LinePrompt, silent_keys
from antiphon.cli.chat.screen import Screen
from antiphon.cli.chat.talk import Opening, Talk

FRAME_SECONDS = 0.06
"""Between two drawings of a growing answer."""

_QUIET = (TurnBegan, TurnSaid, TurnTool)
"""What is not worth a redrawing of the line that is being typed."""


class Terminal:
    """Runs in the main thread and owns the screen. `tell` takes events from any thread; `house` is the address of whom
    they are."""

    def __init__(self, screen: Screen, house: str) -> None:
        self._screen = screen
        self._house = house
        self._events: SimpleQueue[Event] = SimpleQueue()
        self._views: dict[str, AnswerView] = {}
        self._awaited: str | None = None
        self._waits = False
        self._stops = 0
        self._prompt = LinePrompt(
            self._on_wake, lambda: self._events.put(StopAsked()), plain=screen.plain, dumb=screen.dumb
        )

    def tell(self, event: Event) -> None:
        self._events.put(event)
        if not isinstance(event, _QUIET):
            self._prompt.wake()

    def run(self, opening: Opening, talk: Talk, network: Network) -> None:
        """Until the person leaves."""
        self._screen.greet(opening)
        with self._prompt.installed():
            while (text := self._ask()) is not None:
                if text.strip():
                    network.start(talk.send, *attached(text))
                    self._follow(lambda: network.begin(talk.cancel()))

    # --- asking ---------------------------------------------------------------------------------------------------

    def _ask(self) -> str | None:
        """The next message, None when the person leaves."""
        hinted = False
        while True:
            try:
                text = self._prompt.read()
            except EOFError:
                self._screen.end_line()
                return None
            except KeyboardInterrupt:
                self._screen.end_line()
                if hinted and not self._prompt.unfinished:
                    return None
                hinted = not self._prompt.unfinished
                if hinted:
                    self._screen.note("Ctrl-C again leaves, and so does Ctrl-D.")
                continue
            return None if text.strip() in {"/quit", "/exit"} else text

    def _on_wake(self) -> None:
        """Something happened while the person types."""
        if self._events.empty():
            return
        with self._prompt.above():
            self._take_all()

    # --- following ------------------------------------------------------------------------------------------------

    def _follow(self, cancel: Callable[[], None]) -> None:
        """Shows what happens until the answer is over, or the person no longer waits for it."""
        self._waits, self._stops = True, 0
        waiting = AnswerView(self._house)
        with silent_keys(), self._screen.drawing():
            while self._waits:
                stops = self._stops
                self._take_all(wait=FRAME_SECONDS)
                if self._stops > stops:
                    self._stop(cancel)
                self._screen.show(next(iter(self._views.values()), waiting))

    def _stop(self, cancel: Callable[[], None]) -> None:
        if self._stops == 1:
            cancel()
        else:
            self._waits = False
            self._screen.note("Not waiting any longer. What is still answered shows up here.", "yellow")

    def _take_all(self, wait: float = 0.0) -> None:
        """Takes in what has happened; waits for the first of it if nothing has."""
        with suppress(Empty):
            self._take(self._events.get(timeout=wait) if wait else self._events.get_nowait())
            while self._waits or not wait:
                self._take(self._events.get_nowait())

    def _take(self, event: Event) -> None:
        match event:
            case TurnSaid() | TurnTool() | TurnNotice() | TurnBegan():
                self._grow(event)
            case TurnOver():
                self._end(event)
            case HouseSaid():
                self._screen.house(event)
            case TurnAsks():
                # What is typed next may be the permission: nobody waits for the answer until then.
                self._screen.ask(event.text)
                self._waits = self._waits and event.turn_id != self._awaited
            case OtherSaid():
                self._screen.other(event.text)
            case Sent():
                self._awaited = event.turn_id
            case NotSent():
                self._waits = False
                self._screen.refuse(event.reason)
            case LinkChanged():
                self._tell_link(event.up)
            case StopAsked():
                self._stops += 1

    def _grow(self, event: TurnSaid | TurnTool | TurnNotice | TurnBegan) -> None:
        view = self._views.setdefault(event.turn_id, AnswerView(self._house))
        match event:
            case TurnSaid():
                view.say(event)
            case TurnTool():
                view.tool(event)
            case TurnNotice():
                view.notice(event)

    def _end(self, event: TurnOver) -> None:
        view = self._views.pop(event.turn_id, None)
        if view is not None and event.status != "refused":
            view.over(event)
            self._screen.close(view)
        if event.turn_id == self._awaited:
            self._awaited, self._waits = None, False

    def _tell_link(self, up: bool) -> None:
        if up:
            self._screen.note("Connected again.")
        else:
            self._screen.note("The connection to the server is lost. Coming back as soon as it does …", "yellow")
