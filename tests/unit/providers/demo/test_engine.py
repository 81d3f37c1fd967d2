"""The engine is a pure function that never fails, whatever it is asked."""

import json
import time
from collections.abc import Mapping
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from antiphon.providers.base import (
    ChatMessage,
    Error,
    Finish,
    ModelRequest,
    ReasoningDelta,
    TextDelta,
    ToolCall,
    ToolCallDelta,
    ToolCallEnd,
    ToolCallStart,
    ToolSpec,
    UsageReport,
)
from antiphon.providers.demo.engine import perform

_PHRASES = (
    "what time is it in", "remember that", "17% of 2340", "what do you know about me", "use", "weather", "!tool",
    "!cut 3", "!slow 5", "!429 2", "how do I", "search", "and", "?", "\n", "in Tokyo", "{}", '"quoted text"',
    "a@b.example", "2026-11-21", "42", "-1.5", "on", "light", "item", "summarize", "https://example.com/x", "`", "|",
    "1.", "my name is",
)  # fmt: skip
_TEXTS = st.one_of(
    st.text(max_size=200), st.lists(st.sampled_from(_PHRASES) | st.text(max_size=8), max_size=12).map(" ".join)
)
_RULES: st.SearchStrategy[dict[str, Any]] = st.one_of(
    st.just({"type": "string"}),
    st.just({"type": "string", "minLength": 3, "maxLength": 6}),
    st.just({"type": "string", "format": "date"}),
    st.just({"type": "string", "pattern": "^a+$"}),
    st.just({"type": "string", "enum": ["on", "off"]}),
    st.just({"type": "integer", "minimum": 0, "exclusiveMaximum": 43}),
    st.just({"type": "number"}),
    st.just({"type": "boolean"}),
    st.just({"type": "array", "items": {"type": "string"}, "minItems": 2}),
    st.just({"anyOf": [{"type": "integer"}, {"type": "null"}], "default": None}),
    st.just({"$ref": "#/$defs/State"}),
    st.just({"allOf": [{"type": "string"}]}),
    st.just({}),
)
_NAMES = st.sampled_from(
    [
        "search_manual",
        "recall",
        "remember",
        "clock",
        "calculator",
        "weather",
        "set_light",
        "item",
        "query",
        "city",
        "text",
    ]
)


@st.composite
def _tools(draw: st.DrawFn) -> ToolSpec:
    properties = draw(st.dictionaries(_NAMES | st.just("expression"), _RULES, max_size=3))
    required = draw(st.lists(st.sampled_from(sorted(properties)), unique=True)) if properties else []
    schema = {"type": "object", "properties": properties, "required": required, "additionalProperties": False}
    schema["$defs"] = {"State": {"type": "string", "enum": ["on", "off"]}}
    return ToolSpec(name=draw(_NAMES), description=draw(_TEXTS), parameters=schema)


_MESSAGES = st.builds(
    ChatMessage,
    role=st.sampled_from(["system", "user", "assistant", "tool"]),
    text=_TEXTS,
    call_id=st.none() | st.just("call_1"),
    calls=st.just(()) | st.just((ToolCall(id="call_1", name="recall", arguments="{"),)),
)
_REQUESTS = st.builds(
    ModelRequest,
    model=st.just("demo"),
    messages=st.lists(_MESSAGES, max_size=5).map(tuple),
    tools=st.lists(_tools(), max_size=4, unique_by=lambda tool: tool.name).map(tuple),
    max_tokens=st.none() | st.integers(0, 20),
)


@settings(max_examples=400, deadline=None)
@given(_REQUESTS)
def test_every_request_has_one_answer_with_one_end(request: ModelRequest) -> None:
    script = perform(request)
    assert script == perform(msgspec.json.decode(msgspec.json.encode(request), type=ModelRequest))
    *body, last = script.events
    assert isinstance(last, Finish | Error)
    assert not any(isinstance(event, Finish | Error) for event in body)
    assert sum(isinstance(event, UsageReport) for event in body) == isinstance(last, Finish)


@settings(max_examples=400, deadline=None)
@given(
    _TEXTS.filter(lambda text: not text.lstrip().startswith("!")),
    st.lists(_tools(), max_size=4, unique_by=lambda t: t.name),
)
def test_arguments_fit_the_schema_that_is_offered(text: str, tools: list[ToolSpec]) -> None:
    request = ModelRequest(model="demo", messages=(ChatMessage(role="user", text=text),), tools=tuple(tools))
    events = perform(request).events
    offered = {tool.name: tool.parameters for tool in tools}
    calls = [event.call for event in events if isinstance(event, ToolCallEnd)]
    for call in calls:
        assert _fits(json.loads(call.arguments), offered[call.name])
    assert len({call.id for call in calls}) == len(calls)
    assert events[-1] == Finish("tool_calls" if calls else "stop")


def _fits(arguments: Any, schema: Mapping[str, Any]) -> bool:
    """An oracle for the rules above that shares no code with what it judges."""
    properties = schema["properties"]
    complete = isinstance(arguments, dict) and set(schema["required"]) <= set(arguments) <= set(properties)
    return complete and all(_one_fits(value, properties[name]) for name, value in arguments.items())


def _one_fits(value: Any, rule: Mapping[str, Any]) -> bool:
    if "$ref" in rule or "enum" in rule:
        return value in {"on", "off"}
    if "anyOf" in rule:
        return value is None or type(value) is int
    if "allOf" in rule or "pattern" in rule:
        return False
    match rule.get("type"):
        case "string" if "minLength" in rule:
            return isinstance(value, str) and 3 <= len(value) <= 6
        case "string" if "format" in rule:
            return isinstance(value, str) and len(value) == 10 and value.count("-") == 2
        case "string":
            return isinstance(value, str)
        case "integer":
            return type(value) is int and 0 <= value < 43
        case "number":
            return type(value) in {int, float}
        case "boolean":
            return type(value) is bool
        case "array":
            return isinstance(value, list) and len(value) >= 2 and all(isinstance(item, str) for item in value)
        case _:
            return True


def _ask(text: str, *tools: ToolSpec, max_tokens: int | None = None) -> ModelRequest:
    return ModelRequest(
        model="demo", messages=(ChatMessage(role="user", text=text),), tools=tools, max_tokens=max_tokens
    )


def test_calls_are_announced_sent_in_pieces_and_closed(house: Mapping[str, ToolSpec]) -> None:
    events = perform(_ask("How do I connect a model to it?", house["search_manual"], house["recall"])).events
    starts = [event for event in events if isinstance(event, ToolCallStart)]
    ends = [event for event in events if isinstance(event, ToolCallEnd)]
    assert [(start.index, start.id, start.name) for start in starts] == [
        (end.index, end.call.id, end.call.name) for end in ends
    ]
    for end in ends:
        pieces = [event.arguments for event in events if isinstance(event, ToolCallDelta) and event.index == end.index]
        assert "".join(pieces) == end.call.arguments


def test_call_ids_differ_between_turns_and_repeat_for_the_same_request(house: Mapping[str, ToolSpec]) -> None:
    tool = house["clock"]
    first = _ask("what time is it?", tool)
    again = ModelRequest(
        model="demo",
        messages=(*first.messages, ChatMessage(role="assistant", text="Noon."), *first.messages),
        tools=(tool,),
    )
    ids = [
        [event.call.id for event in perform(request).events if isinstance(event, ToolCallEnd)]
        for request in (first, first, again)
    ]
    assert ids[0] == ids[1] != ids[2]


@pytest.mark.parametrize("limit", [0, 1, 3])
def test_max_tokens_is_kept(limit: int) -> None:
    events = perform(_ask("hi", max_tokens=limit)).events
    assert sum(isinstance(event, TextDelta | ReasoningDelta) for event in events) == limit
    assert events[-1] == Finish("length")


def test_usage_counts_its_own_tokens() -> None:
    events = perform(_ask("!echo one two three")).events
    report = next(event for event in events if isinstance(event, UsageReport))
    assert report.usage.input_tokens == 4
    assert report.usage.output_tokens == 3
    assert report.usage.cost == 0.0
    assert not report.usage.estimated


def test_text_is_streamed_word_by_word_and_nothing_is_lost() -> None:
    text = "  a\n\nb   c\t😀 \n"
    events = perform(_ask(f"!echo x{text}y")).events
    pieces = [event.text for event in events if isinstance(event, TextDelta)]
    assert "".join(pieces) == f"x{text}y"
    assert len(pieces) == 6


_HOSTILE = (
    "a" * 1_000_000, " " * 100_000, "what " * 50_000, "what i said " * 20_000, "(" * 10_000, "9**" * 5_000 + "9",
    "1+" * 90 + "1", "!slow " * 10_000, "!cut !cut !cut hi", "!tool " * 5_000, "!tool x " + "[" * 100_000, "\ud800",
    "\x00\x01", "\u202ereversed", "🧨" * 10_000, "remember " * 10_000, "in " * 10_000 + "time is it", "```\n" * 10_000,
    "a and what " * 5_000, "how many " * 5_000, "1,111" * 5_000, "°" * 10_000, "?" * 50_000, ". " * 50_000,
    "- " * 50_000, "ᄀ" * 20_000, "|\n" * 10_000, "# x\n" * 10_000, '{"results": ' * 5_000, "use my " * 5_000,
)  # fmt: skip


@pytest.mark.parametrize("text", _HOSTILE, ids=range(len(_HOSTILE)))
def test_hostile_questions_are_answered_in_time(house: Mapping[str, ToolSpec], text: str) -> None:
    before = time.process_time()
    assert isinstance(perform(_ask(text, *house.values())).events[-1], Finish | Error)
    assert time.process_time() - before < 3


@pytest.mark.parametrize("text", _HOSTILE, ids=range(len(_HOSTILE)))
def test_hostile_answers_of_tools_are_survived(house: Mapping[str, ToolSpec], text: str) -> None:
    asked = _ask("How do I connect Ollama?", *house.values())
    calls = tuple(event.call for event in perform(asked).events if isinstance(event, ToolCallEnd))
    results = [ChatMessage(role="tool", call_id=call.id, name=call.name, text=text) for call in calls]
    messages = (*asked.messages, ChatMessage(role="assistant", calls=calls), *results)
    before = time.process_time()
    last = perform(ModelRequest(model="demo", messages=messages, tools=asked.tools)).events[-1]
    assert last == Finish("stop")
    assert time.process_time() - before < 3
