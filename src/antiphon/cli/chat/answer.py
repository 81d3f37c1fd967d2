"""An answer on the screen: what is finished of it, to be printed once, and what still changes, drawn again."""

import json
from collections.abc import Sequence
from time import monotonic

from markdown_it.token import Token
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.markdown import CodeBlock, Heading, ImageItem, Markdown
from rich.segment import Segment
from rich.spinner import Spinner
from rich.syntax import Syntax
from rich.text import Text

from antiphon.cli.chat.blocks import Block, Blocks
from antiphon.cli.chat.events import TurnNotice, TurnOver, TurnSaid, TurnTool

GUTTER = 2
"""Columns left of everything an assistant says."""

WIDEST = 100
"""Columns of text that still read well."""

TAIL_LENGTH = 4_000
"""Characters of an unfinished block that are drawn again and again; a longer one shows its end only."""

_MARKS = {"done": ("✓", "green"), "failed": ("✗", "red"), "cancelled": ("–", "yellow")}


class ChatHeading(Heading):
    """Headings at the left, as in a text, and not centred, as on a poster."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        self.text.justify = "left"
        self.text.stylize("bold" if self.tag != "h1" else "bold underline")
        yield self.text


class ChatCode(CodeBlock):
    """Code without the empty lines around it, so that one block may be printed in several pieces."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield Syntax(str(self.text).rstrip("\n"), self.lexer_name, theme=self.theme, word_wrap=True, padding=(0, 2))


class ChatImage(ImageItem):
    """An image as a link on a line of its own, whole also where it leads into the house that one talks to."""

    @classmethod
    def create(cls, markdown: Markdown, token: Token) -> "ChatImage":
        where = str(token.attrs.get("src", ""))
        house = markdown.house if isinstance(markdown, ChatMarkdown) and where.startswith("/") else ""
        return cls(house + where, markdown.hyperlinks)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield Text.assemble(self.text or "image", " (", (self.destination, "markdown.link_url"), ")", overflow="fold")


class ChatMarkdown(Markdown):
    """Markdown whose code keeps the terminal's background, and whose links show where they lead. Images that begin with
    a slash are in `house`, an address."""

    elements = {  # noqa: RUF012 - as the base class has it
        **Markdown.elements,
        "heading_open": ChatHeading,
        "fence": ChatCode,
        "code_block": ChatCode,
        "image": ChatImage,
    }

    def __init__(self, markup: str, house: str = "") -> None:
        super().__init__(markup, code_theme="ansi_dark", hyperlinks=False)
        self.house = house


class AnswerView:
    """One turn of the house at an address. Feed it events; print `finished` above, draw `live` below."""

    def __init__(self, house: str = "") -> None:
        self._house = house
        self._blocks = Blocks()
        self._ready: list[RenderableType] = []
        self._tools: dict[str, TurnTool] = {}
        self._thought: list[str] = []
        self._began = monotonic()
        self._spinner = Spinner("dots", style="cyan")
        self._kind = ""

    def say(self, event: TurnSaid) -> None:
        if event.reasoning:
            self._end_text()
            self._thought.append(event.reasoning)
        if event.text:
            self._end_thought()
            for block in self._blocks.feed(event.text):
                self._add_block(block)

    def tool(self, event: TurnTool) -> None:
        self._end_thought()
        self._end_text()
        if event.status == "running":
            self._tools[event.call_id] = event
        else:
            self._tools.pop(event.call_id, None)
            self._add("tool", _tool_line(event))

    def notice(self, event: TurnNotice) -> None:
        self._end_thought()
        self._end_text()
        self._add("notice", Text.assemble(("! ", "bold yellow"), (event.text, "yellow")))

    def over(self, event: TurnOver) -> None:
        """The closing line: model, tokens, seconds, as far as they are known."""
        self._end_thought()
        self._end_text()
        self._tools.clear()
        facts = [event.model] if event.model else []
        if event.model and event.tokens:
            facts.append(f"{event.tokens:,} tokens")
        if event.model and event.elapsed_ms is not None:
            facts.append(f"{event.elapsed_ms / 1000:.1f} s")
        if facts:
            self._add("facts", Text(" · ".join(facts), style="dim"))

    def finished(self) -> list[RenderableType]:
        """What was finished since the last call."""
        ready, self._ready = self._ready, []
        return ready

    def live(self, console: Console) -> RenderableType:
        """What is not finished, never higher than the window."""
        lines: list[RenderableType] = []
        if self._thought:
            words = " ".join("".join(self._thought[-80:]).split())
            lines.append(Indented(Text("∴ " + words[-WIDEST:], style="dim italic", no_wrap=True, overflow="ellipsis")))
        if (tail := self._blocks.tail) is not None:
            lines += [] if tail.continues else [Text()]
            lines.append(_LastLines(_lay_out(tail.text, self._house), console.height - len(self._tools) - 5))
        lines += [Indented(_tool_line(tool)) for tool in self._tools.values()]
        self._spinner.update(text=Text(f"{monotonic() - self._began:.0f} s · Ctrl-C stops", style="dim"))
        return Group(*lines, Text(), Indented(self._spinner))

    def _add_block(self, block: Block) -> None:
        if not block.continues:
            self._ready.append(Text())
        self._ready.append(Indented(ChatMarkdown(block.text, self._house)))
        self._kind = "text"

    def _add(self, kind: str, line: RenderableType) -> None:
        """Lines of one kind stand together."""
        if kind != self._kind:
            self._ready.append(Text())
        self._ready.append(Indented(line))
        self._kind = kind

    def _end_text(self) -> None:
        for block in self._blocks.close():
            self._add_block(block)

    def _end_thought(self) -> None:
        if words := " ".join("".join(self._thought).split()):
            self._add("tool", Text(f"∴ {words}", style="dim italic", no_wrap=True, overflow="ellipsis"))
        self._thought.clear()


def _lay_out(text: str, house: str) -> RenderableType:
    return Indented(ChatMarkdown(text, house) if len(text) <= TAIL_LENGTH else Text(text[-TAIL_LENGTH:]))


class Indented:
    """Lays out a little to the right, no wider than people like to read, and without blanks at the ends of lines:
    those would wrap when the window becomes narrower, and come along when the text is copied."""

    def __init__(self, inner: RenderableType) -> None:
        self._inner = inner

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        width = max(min(options.max_width, WIDEST) - GUTTER, 1)
        lines = [_trimmed(line) for line in console.render_lines(self._inner, options.update(width=width), pad=False)]
        # Markdown puts empty lines around some kinds of blocks; what stands between blocks is decided elsewhere.
        while lines and not lines[0]:
            del lines[0]
        while lines and not lines[-1]:
            del lines[-1]
        for line in lines or [[]]:
            yield from ([Segment(" " * GUTTER), *line] if line else [])
            yield Segment.line()


def _trimmed(line: list[Segment]) -> list[Segment]:
    """The line without blanks at its end."""
    end = len(line)
    while end and not line[end - 1].text.strip():
        end -= 1
    return [*line[: end - 1], Segment(line[end - 1].text.rstrip(" "), line[end - 1].style)] if end else []


class _LastLines:
    """The last lines of something, so that it fits into the window."""

    def __init__(self, inner: RenderableType, most: int) -> None:
        self._inner = inner
        self._most = max(most, 1)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        lines: Sequence[list[Segment]] = console.render_lines(self._inner, options.update(height=None), pad=False)
        for line in lines[-self._most :]:
            yield from line
            yield Segment.line()


def _tool_line(tool: TurnTool) -> Text:
    mark, style = _MARKS.get(tool.status, ("…", "cyan"))
    line = Text(no_wrap=True, overflow="ellipsis")
    line.append(f"{mark} ", style)
    line.append(tool.name, "bold")
    if arguments := _arguments(tool.arguments):
        line.append(f" {arguments}", "dim")
    if tool.elapsed_ms is not None:
        line.append(f" · {_time(tool.elapsed_ms)}", "dim")
    if tool.result:
        line.append(f" → {' '.join(tool.result.split())}", "dim")
    return line


def _arguments(text: str) -> str:
    try:
        values = json.loads(text)
    except ValueError:
        return text
    if not isinstance(values, dict):
        return text
    return ", ".join(f"{name}={json.dumps(value, ensure_ascii=False)}" for name, value in values.items())


def _time(milliseconds: float) -> str:
    return f"{milliseconds:.0f} ms" if milliseconds < 1000 else f"{milliseconds / 1000:.1f} s"
