"""What the demo model sees of a request: the question, what was said before, the tools, and what they answered."""

import json
import re
from collections.abc import Mapping, Sequence
from functools import cached_property
from hashlib import blake2s
from typing import Any

from msgspec import Struct

from antiphon.files.quoting import InWords, Quoted, in_words
from antiphon.providers.base import File, ModelRequest, ToolSpec
from antiphon.providers.demo.schema import conforms
from antiphon.providers.protocols.asking import FORM_IN_WORDS

_ERROR = re.compile(r"(?i)error\b[:\s]*")

_NOTES = re.compile(r"(?:[^\n]{1,400}\n<(facts|summary)>\n[^<]*</\1>\n\n)*")

_SUMMARY = re.compile(r"<summary>\n([^<]*)</summary>")

ATTENTION = 20_000
"""Characters of a question that are read: rules over a pasted book would take seconds and find nothing more."""


class ToolAnswer(Struct, frozen=True, kw_only=True):
    """What a tool answered. `failed` is True when it reported an error instead."""

    name: str
    text: str
    failed: bool


class Wish(Struct, frozen=True, kw_only=True):
    """A tool to call, and with what."""

    name: str
    arguments: Mapping[str, Any]


class Reading:
    """One request, read. Everything follows from the request alone."""

    def __init__(self, request: ModelRequest) -> None:
        self.tools: Mapping[str, ToolSpec] = {tool.name: tool for tool in request.tools}
        self._messages = request.messages
        self._output = request.output

    @cached_property
    def _asked_at(self) -> int:
        return max((at for at, message in enumerate(self._messages) if message.role == "user"), default=-1)

    @cached_property
    def _parted(self) -> InWords:
        if self._asked_at < 0:
            return InWords("")
        return in_words(_split(self._messages[self._asked_at].text)[1])

    @cached_property
    def question(self) -> str:
        """The last message of the user, without the space around it, what the house remembers in front of it, and its
        files in words."""
        return self._parted.text[:ATTENTION].strip()

    @property
    def quoted(self) -> tuple[Quoted, ...]:
        """The text files of that message."""
        return self._parted.quoted

    @property
    def mentioned(self) -> tuple[str, ...]:
        """Lines about files that came without anything to see."""
        return self._parted.mentioned

    @property
    def files(self) -> tuple[File, ...]:
        """Its other files."""
        return self._messages[self._asked_at].files if self._asked_at >= 0 else ()

    @property
    def with_files(self) -> bool:
        """Whether any message comes with files that have to be seen or heard."""
        return any(message.files for message in self._messages)

    @cached_property
    def system(self) -> str:
        """What it is told before anybody speaks."""
        return "\n\n".join(message.text for message in self._messages if message.role == "system")

    @cached_property
    def summary(self) -> tuple[str, ...]:
        """The lines of what stands for the part of the conversation that the request does not hold."""
        notes = (_split(message.text)[0] for message in self._messages if message.role == "user")
        told = _SUMMARY.search(next(notes, ""))
        return tuple(line[2:] for line in told[1].splitlines() if line.startswith("- ")) if told else ()

    @cached_property
    def earlier(self) -> tuple[str, ...]:
        """What the user said before, oldest first, as far as the request holds it."""
        before = self._messages[: max(0, self._asked_at)]
        return tuple(in_words(_split(message.text)[1]).text[:ATTENTION] for message in before if message.role == "user")

    @cached_property
    def output(self) -> Mapping[str, Any] | None:
        """The schema of the answer, where data is wanted; also one that was told in words."""
        if self._output is not None:
            return self._output.schema
        told = (message.text.partition(FORM_IN_WORDS)[2] for message in self._messages if message.role == "system")
        return next((schema for text in told if text and (schema := _first_object(text)) is not None), None)

    @cached_property
    def results(self) -> tuple[str, ...]:
        """What tools have answered in this turn."""
        return tuple(m.text for m in self._messages[self._asked_at + 1 :] if m.role == "tool")

    @cached_property
    def first(self) -> bool:
        """True when this is the first answer of the conversation."""
        before = self._messages[: max(0, self._asked_at)]
        return not any(message.role == "assistant" and message.text for message in before)

    @cached_property
    def called(self) -> bool:
        """True when tools have answered already: the next thing is an answer, not another call."""
        return any(message.role == "tool" for message in self._messages[self._asked_at + 1 :])

    def answers(self, names: Sequence[str]) -> tuple[ToolAnswer | None, ...]:
        """What the tools answered, in the order of `names`; None for a call without an answer."""
        calls = [call for message in self._messages[self._asked_at + 1 :] for call in message.calls]
        texts = {m.call_id: m.text for m in self._messages[self._asked_at + 1 :] if m.role == "tool"}
        found: list[ToolAnswer | None] = []
        for name in names:
            call = next((call for call in calls if call.name == name), None)
            text = texts.get(call.id) if call else None
            found.append(None if text is None else _answer(name, text))
            if call:
                calls.remove(call)
        return tuple(found)

    def call_id(self, index: int) -> str:
        """An id for a call of this turn: the same for the same request, another one after any other history."""
        digest = blake2s(digest_size=9)
        for message in self._messages[: self._asked_at + 1]:
            digest.update(f"{message.role}\0{message.text}\0{len(message.calls)}\0".encode("utf-8", "surrogatepass"))
        return f"call_{digest.hexdigest()}_{index}"

    def wish(self, name: str, **arguments: Any) -> Wish | None:
        """The call of a tool by its known name, None when it is not offered or takes other arguments."""
        tool = self.tools.get(name)
        properties = tool.parameters.get("properties") if tool else None
        if tool is None or not set(arguments) <= set(properties or ()) or not conforms(arguments, tool.parameters):
            return None
        return Wish(name=name, arguments=arguments)


def _split(text: str) -> tuple[str, str]:
    """What the house says in front of a person's words, and those."""
    noted = _NOTES.match(text)
    end = noted.end() if noted else 0
    return text[:end], text[end:]


def _first_object(text: str) -> dict[str, Any] | None:
    """The object at the beginning of a text that goes on behind it."""
    try:
        found, _ = json.JSONDecoder().raw_decode(text.lstrip())
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _answer(name: str, text: str) -> ToolAnswer:
    """A result as prompts carry it: one that begins with the word "Error" tells what went wrong."""
    error = _ERROR.match(text)
    return ToolAnswer(name=name, text=text[error.end() :] if error else text, failed=error is not None)
