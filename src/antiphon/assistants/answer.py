"""The answer of a turn as it grows, and a stored answer turned back into the messages that made it."""

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from antiphon.domain import AnyPart, NoticePart, ReasoningPart, TextPart, ToolPart
from antiphon.providers.base import ChatMessage, ToolCall
from antiphon.providers.protocols.opaque import joined

ANSWER_LIMIT = 1_000_000
"""Characters of one model call; a model that has fallen into a loop is stopped there."""

NO_RESULT = "The call was cancelled before it had a result."


class Answer:
    """Collects the parts of an answer in order, behind the `parts` that there are. What a piece costs does not depend
    on how much there is already."""

    __slots__ = ("_kind", "_opaque", "_parts", "_pieces", "_unsigned")

    def __init__(self, parts: Iterable[AnyPart] = ()) -> None:
        self._parts: list[AnyPart] = list(parts)
        self._kind: type[TextPart | ReasoningPart] | None = None
        self._pieces: list[str] = []
        self._opaque: Any = None
        self._unsigned: int | None = None

    def text(self, piece: str) -> None:
        if self._kind is not TextPart:
            self._open(TextPart)
        self._pieces.append(piece)

    def reasoning(self, piece: str, opaque: Any = None) -> None:
        """A signature closes the reasoning it signs: what is thought after it is a part of its own.

        A signature that comes alone signs the last reasoning of the round, also when the text has begun meanwhile.
        """
        if not piece and opaque is None:
            return
        if not piece and self._kind is not ReasoningPart and self._unsigned is not None:
            place, self._unsigned = self._unsigned, None
            self._parts[place] = msgspec.structs.replace(self._parts[place], opaque=opaque)
            return
        if self._kind is not ReasoningPart or self._opaque is not None:
            self._open(ReasoningPart)
        self._pieces.append(piece)
        self._opaque = opaque

    def tool(self, part: ToolPart) -> int:
        """Adds a call and returns its place, under which `settle` puts it as it ended."""
        self._close()
        self._parts.append(part)
        return len(self._parts) - 1

    def settle(self, place: int, part: ToolPart) -> None:
        self._parts[place] = part

    def notice(self, code: str, text: str) -> None:
        self._close()
        self._parts.append(NoticePart(code=code, text=text))

    def mark(self) -> int:
        """Begins a round; returns the place behind all parts so far, for `since`."""
        self._close()
        self._unsigned = None
        return len(self._parts)

    def since(self, place: int) -> Sequence[AnyPart]:
        self._close()
        return self._parts[place:]

    @property
    def started(self) -> bool:
        """Whether there is something worth keeping: text, or a tool that was called. Thinking alone is not."""
        return self._kind is TextPart or any(isinstance(part, TextPart | ToolPart) for part in self._parts)

    @property
    def has_text(self) -> bool:
        self._close()
        return any(isinstance(part, TextPart) and not part.text.isspace() for part in self._parts)

    def parts(self) -> tuple[AnyPart, ...]:
        """Everything so far. A tool without a result counts as cancelled: nobody waits for it any more."""
        self._close()
        return tuple(
            msgspec.structs.replace(part, status="cancelled")
            if isinstance(part, ToolPart) and part.status == "running"
            else part
            for part in self._parts
        )

    def _open(self, kind: type[TextPart | ReasoningPart]) -> None:
        self._close()
        self._kind = kind

    def _close(self) -> None:
        if self._kind is None:
            return
        joined = "".join(self._pieces)
        if self._kind is ReasoningPart:
            self._unsigned = len(self._parts) if self._opaque is None else None
            self._parts.append(ReasoningPart(text=joined, opaque=self._opaque))
        else:
            self._parts.append(TextPart(text=joined))
        self._kind, self._pieces, self._opaque = None, [], None


def text_of(parts: Iterable[AnyPart]) -> str:
    """The plain text of an answer; what was said before and after a tool are paragraphs of their own."""
    texts = [part.text for part in parts if isinstance(part, TextPart)]
    return "\n\n".join(texts) if len(texts) < 2 else "\n\n".join(text.strip() for text in texts if not text.isspace())


class _Round:
    """What a model said and called at one time."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.reasoning: ReasoningPart | None = None
        self.tools: list[ToolPart] = []

    def think(self, part: ReasoningPart) -> None:
        """Thoughts that follow each other are one: a vendor may sign each, and show nothing of some."""
        before = self.reasoning or ReasoningPart(text="")
        self.reasoning = ReasoningPart(text=before.text + part.text, opaque=joined(before.opaque, part.opaque))

    def messages(self) -> list[ChatMessage]:
        text = "".join(self.texts)
        if not self.tools and not text.strip():
            return []  # vendors refuse an assistant's message that says nothing
        said = ChatMessage(
            role="assistant",
            text=text,
            calls=tuple(ToolCall(id=part.call_id, name=part.name, arguments=part.arguments) for part in self.tools),
            reasoning=self.reasoning.text if self.reasoning else None,
            opaque=self.reasoning.opaque if self.reasoning else None,
        )
        return [said, *(_result(part) for part in self.tools)]


def replay(parts: Iterable[AnyPart]) -> list[ChatMessage]:
    """The messages that made these parts: each round of the model, followed by what its tools answered.

    Every call has its result, also when it was cancelled. Notices are the house's and stay out.
    """
    messages: list[ChatMessage] = []
    current = _Round()
    for part in parts:
        if isinstance(part, NoticePart):
            continue
        behind_tools = bool(current.tools) and not isinstance(part, ToolPart)
        thinks_again = isinstance(part, ReasoningPart) and bool(current.texts)
        if behind_tools or thinks_again:
            messages += current.messages()
            current = _Round()
        match part:
            case TextPart(text=text):
                current.texts.append(text)
            case ReasoningPart():
                current.think(part)
            case ToolPart():
                current.tools.append(part)
    return messages + current.messages()


def _result(part: ToolPart) -> ChatMessage:
    text = NO_RESULT if part.result is None else part.result
    if part.status != "done" and not text.startswith("Error"):
        text = f"Error: {text}"  # few protocols have a field for it, every model understands the word
    return ChatMessage(role="tool", text=text, call_id=part.call_id, name=part.name)
