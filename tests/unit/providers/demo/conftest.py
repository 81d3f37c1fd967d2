"""A small house around the demo model: a conversation with tools that answer from what they are given."""

import json
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

import pytest
from aiohttp import ClientSession

from antiphon.providers.base import (
    ChatMessage,
    Error,
    Event,
    Finish,
    ModelRequest,
    ReasoningDelta,
    TextDelta,
    ToolCall,
    ToolCallEnd,
    ToolSpec,
)
from antiphon.providers.demo.engine import perform
from antiphon.providers.demo.server import DemoServer


def one_text(name: str, *, required: bool = True) -> dict[str, Any]:
    """The schema that `@tool` makes of one text argument."""
    rule: dict[str, Any] = {"type": "string"} if required else {"anyOf": [{"type": "string"}, {"type": "null"}]}
    return {
        "type": "object",
        "properties": {name: rule},
        "required": [name] if required else [],
        "additionalProperties": False,
    }


HOUSE_TOOLS: Mapping[str, ToolSpec] = {
    name: ToolSpec(name=name, description=description, parameters=one_text(argument, required=argument != "timezone"))
    for name, argument, description in (
        ("search_manual", "query", "Search the manual."),
        ("search_conversations", "query", "Search what was said in other conversations."),
        ("recall", "query", "Find notes about the person."),
        ("remember", "text", "Keep a fact about the person."),
        ("forget", "text", "Delete a fact about the person."),
        ("calculator", "expression", "Compute an expression."),
        ("clock", "timezone", "The time here or elsewhere."),
    )
}
EMPTY = {"search_manual": "[]", "recall": "Nothing found.", "search_conversations": "Nothing found."}


class Talk:
    """A conversation with the demo model. `calls` are those of the last question, `text` and `thought` its answer."""

    def __init__(self, tools: Mapping[str, ToolSpec], answers: Mapping[str, Callable[[Any], str] | str]) -> None:
        self.tools = tuple(tools.values())
        self.answers = {**EMPTY, **answers}
        self.messages: list[ChatMessage] = []
        self.calls: list[ToolCall] = []
        self.text = ""
        self.thought = ""
        self.ending: Event | None = None

    def ask(self, question: str) -> str:
        self.messages.append(ChatMessage(role="user", text=question))
        self.calls, self.thought = [], ""
        while self._round():
            assert len(self.calls) < 20
        return self.text

    def _round(self) -> bool:
        events = perform(self.request).events
        self.ending = events[-1]
        self.text = "".join(event.text for event in events if isinstance(event, TextDelta))
        self.thought += "".join(event.text for event in events if isinstance(event, ReasoningDelta))
        calls = tuple(event.call for event in events if isinstance(event, ToolCallEnd))
        self.calls += calls
        self.messages.append(ChatMessage(role="assistant", text=self.text, calls=calls))
        for call in calls:
            answer = self.answers[call.name]
            text = answer if isinstance(answer, str) else answer(json.loads(call.arguments))
            self.messages.append(ChatMessage(role="tool", call_id=call.id, name=call.name, text=text))
        return bool(calls)

    @property
    def request(self) -> ModelRequest:
        return ModelRequest(model="demo", messages=tuple(self.messages), tools=self.tools)

    @property
    def called(self) -> list[tuple[str, Any]]:
        return [(call.name, json.loads(call.arguments)) for call in self.calls]


@pytest.fixture
def house() -> Mapping[str, ToolSpec]:
    return HOUSE_TOOLS


@pytest.fixture
def talk() -> Callable[..., Talk]:
    """`talk(calculator="4", tools={…})`: a conversation in which each tool gives that answer, a text or a function."""

    def begin(tools: Mapping[str, ToolSpec] | None = None, **answers: Callable[[Any], str] | str) -> Talk:
        return Talk(HOUSE_TOOLS if tools is None else tools, answers)

    return begin


@pytest.fixture
def ending() -> Callable[[str], Finish | Error]:
    """How the answer to one message ends."""

    def of(text: str) -> Finish | Error:
        last = perform(ModelRequest(model="demo", messages=(ChatMessage(role="user", text=text),))).events[-1]
        assert isinstance(last, Finish | Error)
        return last

    return of


@pytest.fixture
async def server() -> AsyncIterator[DemoServer]:
    running = DemoServer()
    await running.start()
    try:
        yield running
    finally:
        await running.stop()


@pytest.fixture
async def http() -> AsyncIterator[ClientSession]:
    async with ClientSession() as session:
        yield session
