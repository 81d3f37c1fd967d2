"""The directives, read from a message and obeyed in process."""

import json
from collections.abc import Callable

import pytest

from antiphon.providers.base import (
    ChatMessage,
    Error,
    Finish,
    ModelRequest,
    ReasoningDelta,
    TextDelta,
    ToolCallEnd,
)
from antiphon.providers.demo.directives import LONGEST, NAMES, Fault, parse
from antiphon.providers.demo.engine import Script, perform


def _perform(text: str) -> Script:
    return perform(ModelRequest(model="demo", messages=(ChatMessage(role="user", text=text),)))


def _text(script: Script) -> str:
    return "".join(event.text for event in script.events if isinstance(event, TextDelta))


def test_a_message_without_directives_is_left_alone() -> None:
    for text in ("hello", "!", "!!", "! slow", "wow !slow 5", "!important", "!slowly", ""):
        found = parse(text)
        assert found.rest == text
        assert (found.delay, found.fault, found.calls) == (None, None, ())


def test_directives_may_be_combined_each_once() -> None:
    found = parse("!slow 50 !cut 20 !reason !long 100")
    assert found.delay == 0.05
    assert found.fault == Fault(kind="cut", after=20)
    assert found.reason
    assert found.long == 100
    assert parse("!cut 1 !cut 2").rest == "!cut 2"
    found = parse("!split 3 !noids !long 2")
    assert (found.split, found.without_ids, found.long) == (3, True, 2)
    assert (parse("!sever 7 x").sever, parse("!sever x").sever, parse("!sever x").rest) == (7, 100, "x")
    assert (parse("!split 0").split, parse("!split").split) == (1, 1)


@pytest.mark.parametrize(
    ("text", "kind", "retryable"),
    [
        ("!401", "auth", False),
        ("!410", "retired", False),
        ("!429", "rate", True),
        ("!429 3", "rate", True),
        ("!500", "server", True),
        ("!503", "overload", True),
        ("!quota", "quota", False),
        ("!overload", "overload", True),
        ("!garbage", "protocol", False),
        ("!hang", "interrupted", False),
        ("!cut", "interrupted", False),
        ("!error", "server", True),
    ],
)
def test_faults_end_with_an_error_of_their_kind(
    ending: Callable[[str], Finish | Error], text: str, kind: str, retryable: bool
) -> None:
    error = ending(text)
    assert isinstance(error, Error)
    assert error.kind == kind
    assert error.retryable == retryable
    assert (error.retry_after is not None) == (kind in {"rate", "overload"})
    assert error.public.endswith(".")


def test_429_is_refused_always_in_process_because_nothing_is_counted() -> None:
    assert {_perform("!429 2").events for _ in range(5)} == {_perform("!429 2").events}


@pytest.mark.parametrize("after", [0, 1, 7])
def test_cut_comes_after_that_many_tokens(after: int) -> None:
    script = _perform(f"!cut {after} !long 20")
    assert len(script.events) == after + 1
    assert isinstance(script.events[-1], Error)


def test_cut_without_a_text_cuts_something() -> None:
    assert len(_perform("!cut").events) == 6


def test_slow_answers_what_follows() -> None:
    script = _perform("!slow 30 !echo one two")
    assert script.delay == 0.03
    assert _text(script) == "one two"
    assert _perform("!slow").delay == 0.2
    assert _perform("!slow 999999999").delay == 60


def test_echo_is_exact_and_takes_everything() -> None:
    assert _text(_perform("!echo !cut 3  <b>\n\ttail")) == "!cut 3  <b>\n\ttail"
    assert _perform("!echo").events[-1] == Finish("stop")


@pytest.mark.parametrize(
    ("text", "count"), [("!long 7", 7), ("!long", 500), ("!long 0", 0), ("!long 999999999", LONGEST)]
)
def test_long_has_that_many_tokens(text: str, count: int) -> None:
    assert sum(isinstance(event, TextDelta) for event in _perform(text).events) == count


def test_reason_thinks_before_it_answers() -> None:
    script = _perform("!reason !echo done")
    assert sum(isinstance(event, ReasoningDelta) for event in script.events) > 20
    assert _text(script) == "done"


def test_filter_ends_half_way() -> None:
    script = _perform("!filter !echo one two three four")
    assert _text(script) == "one two"
    assert script.events[-1] == Finish("filtered")


@pytest.mark.parametrize(
    ("text", "calls"),
    [
        ('!tool weather {"city": "Oslo"}', [("weather", '{"city": "Oslo"}')]),
        ("!tool clock", [("clock", "{}")]),
        ("!tool x {broken", [("x", "{broken")]),
        ('!tool a {"b": "!tool c {}"} !tool d {}', [("a", '{"b": "!tool c {}"}'), ("d", "{}")]),
        ("!tool a !tool b", [("a", "{}"), ("b", "{}")]),
        ("!tool x [1, 2] and more", [("x", "[1, 2]")]),
    ],
)
def test_tool_calls_exactly_that(text: str, calls: list[tuple[str, str]]) -> None:
    script = _perform(text)
    made = [event.call for event in script.events if isinstance(event, ToolCallEnd)]
    assert [(call.name, call.arguments) for call in made] == calls
    assert script.events[-1] == Finish("tool_calls")


def test_tool_shows_what_came_back() -> None:
    asked = ChatMessage(role="user", text='!tool weather {"city": "Oslo"}')
    calls = tuple(event.call for event in _perform(asked.text).events if isinstance(event, ToolCallEnd))
    answer = ChatMessage(role="tool", call_id=calls[0].id, text="Rain.")
    messages = (asked, ChatMessage(role="assistant", calls=calls), answer)
    script = perform(ModelRequest(model="demo", messages=messages))
    assert _text(script) == "`weather` answered:\n\nRain."
    assert script.events[-1] == Finish("stop")


def test_an_unknown_directive_names_the_known_ones() -> None:
    text = _text(_perform("!nothing"))
    assert all(f"`!{name}`" in text for name in NAMES)


def test_directives_count_only_in_the_last_message() -> None:
    messages = (
        ChatMessage(role="user", text="!500"),
        ChatMessage(role="assistant", text="!401"),
        ChatMessage(role="user", text="!echo fine"),
    )
    assert _text(perform(ModelRequest(model="demo", messages=messages))) == "fine"


def test_deeply_nested_json_is_taken_as_text() -> None:
    script = _perform("!tool x " + "[" * 200_000)
    call = next(event.call for event in script.events if isinstance(event, ToolCallEnd))
    assert call.arguments.startswith("[[[")
    with pytest.raises((ValueError, RecursionError)):
        json.loads(call.arguments)
