"""What the terminal shows. Nothing is printed twice, and nothing that is printed changes."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from rich.box import ROUNDED
from rich.console import Console, Group
from rich.live import Live as LiveRegion
from rich.panel import Panel
from rich.text import Text
from rich.theme import Theme

from antiphon.cli.chat.answer import AnswerView, ChatMarkdown, Indented
from antiphon.cli.chat.events import HouseSaid
from antiphon.cli.chat.talk import Opening
from antiphon.cli.printable import printable

_THEME = Theme(
    {
        "markdown.code": "cyan",
        "markdown.block_quote": "italic",
        "markdown.item.bullet": "cyan",
        "markdown.item.number": "cyan",
        "markdown.link": "underline",
        "markdown.link_url": "dim",
    }
)
_FIRST_LINE = "/help shows the commands · /quit or Ctrl-D leaves · Ctrl-C stops an answer"


class Screen:
    """A terminal, seen from the conversation."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(theme=_THEME, highlight=False)
        self._region: LiveRegion | None = None

    @property
    def plain(self) -> bool:
        """Whether colours are not wanted, or not possible."""
        return self._console.no_color or self.dumb

    @property
    def dumb(self) -> bool:
        """Whether the terminal knows nothing but characters and lines."""
        return self._console.is_dumb_terminal

    def greet(self, opening: Opening) -> None:
        head = Text.assemble(
            ("Antiphon", "bold cyan"), " · ", (opening.assistant, "bold"), f" answers with {opening.model}"
        )
        self._console.print(head)
        self._console.print(Text(_FIRST_LINE, style="dim"))
        for message in opening.past:
            self._recall(message)
        self._console.print()

    def leave(self, how_to_go_on: str | None) -> None:
        if how_to_go_on:
            self._console.print(Text(f"Go on with: {how_to_go_on}", style="dim"), soft_wrap=True)

    def end_line(self) -> None:
        """The line that was being typed stays as it is."""
        self._console.print()

    def note(self, text: str, style: str = "dim") -> None:
        self._console.print(Indented(Text(text, style=style)))

    def refuse(self, text: str) -> None:
        self._console.print()
        self._console.print(Indented(Text.assemble(("✗ ", "bold red"), (text, "red"))))
        self._console.print()

    def house(self, event: HouseSaid) -> None:
        """The answer to a command, in a frame; a refusal in its colour."""
        if event.status == "refused":
            self.refuse(event.text)
            return
        self._frame(event.text, "dim")

    def ask(self, text: str) -> None:
        """What a person must allow, in a frame that is seen."""
        self._frame(text, "yellow")

    def _frame(self, text: str, style: str) -> None:
        frame = Panel(ChatMarkdown(text), box=ROUNDED, border_style=style)
        self._console.print()
        self._console.print(Indented(frame))
        self._console.print()

    def other(self, text: str) -> None:
        """What another client wrote into this conversation."""
        self._console.print(Text.assemble(("⇠ from elsewhere › ", "magenta"), text))

    def show(self, view: AnswerView) -> None:
        """Prints what is finished of an answer, and draws the rest where there is a region for it."""
        finished = view.finished()
        if self._region is not None:
            # Before the printing, which draws the region anew below what it prints: all in one write.
            self._region.update(view.live(self._console), refresh=not finished)
        if finished:
            self._console.print(Group(*finished))

    def close(self, view: AnswerView) -> None:
        """Prints the rest of an answer that is over."""
        if self._region is not None:
            self._region.update(Text())
        self._console.print(Group(*view.finished(), Text()))

    @contextmanager
    def drawing(self) -> Iterator[None]:
        """Inside, the last lines of the screen are those of a growing answer; afterwards they are gone."""
        region = LiveRegion(console=self._console, auto_refresh=False, transient=True, redirect_stdout=False)
        with region:
            self._region = region
            try:
                yield
            finally:
                self._region = None
                region.update(Text(), refresh=True)

    def _recall(self, message: Mapping[str, Any]) -> None:
        text = printable(message["text"])
        if message["role"] == "user":
            self._console.print(Text.assemble("\n", ("› ", "bold cyan"), text))
        elif message["role"] == "assistant":
            self._console.print(Text(), Indented(ChatMarkdown(text)), sep="\n")
        else:
            self.note(text)
