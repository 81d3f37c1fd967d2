"""Streams as https://platform.claude.com/docs/en/build-with-claude/streaming shows them, and what real ones add."""

import json
from typing import Any

import pytest

from antiphon.domain import Usage
from antiphon.providers.base import (
    Error,
    Event,
    Finish,
    ReasoningDelta,
    TextDelta,
    ToolCall,
    ToolCallEnd,
    UsageReport,
)
from antiphon.providers.failures import Failures
from antiphon.providers.protocols.anthropic.decoder import AnthropicDecoder

START = {
    "type": "message_start",
    "message": {
        "id": "msg_1", "type": "message", "role": "assistant", "content": [], "model": "claude-sonnet-5-5",
        "stop_reason": None, "usage": {"input_tokens": 472, "output_tokens": 2, "cache_read_input_tokens": 100},
    },
}  # fmt: skip
STOP = {"type": "message_stop"}


def sse(*events: dict[str, Any]) -> bytes:
    return b"".join(f"event: {e['type']}\ndata: {json.dumps(e)}\n\n".encode() for e in events)


def opened(index: int, **block: Any) -> dict[str, Any]:
    return {"type": "content_block_start", "index": index, "content_block": block}


def grown(index: int, kind: str, **fields: Any) -> dict[str, Any]:
    return {"type": "content_block_delta", "index": index, "delta": {"type": kind, **fields}}


def shut(index: int) -> dict[str, Any]:
    return {"type": "content_block_stop", "index": index}


def ended(reason: str | None, **usage: Any) -> dict[str, Any]:
    return {"type": "message_delta", "delta": {"stop_reason": reason, "stop_sequence": None}, "usage": usage}


def kept(**block: Any) -> dict[str, Any]:
    """A part that goes back to Claude."""
    return {"anthropic": [{"maker": "claude", "block": block}]}


def decode(data: bytes, *, cut: bool = False) -> list[Event]:
    decoder = AnthropicDecoder(Failures("acme"), b"request", maker="claude")
    events = decoder.feed(data) + (decoder.cut() if cut else decoder.end())
    assert decoder.done
    return events


TEXT = [opened(0, type="text", text=""), grown(0, "text_delta", text="Okay"), {"type": "ping"}, shut(0)]


def test_text_and_its_bill() -> None:
    assert decode(sse(START, *TEXT, ended("end_turn", output_tokens=89), STOP)) == [
        TextDelta("Okay"),
        UsageReport(Usage(input_tokens=572, output_tokens=89, cached_tokens=100)),
        Finish("stop"),
    ]


def test_the_bill_of_the_end_counts_everything_again() -> None:
    late = ended("end_turn", input_tokens=500, cache_creation_input_tokens=40, cache_read_input_tokens=None,
                 output_tokens=90, output_tokens_details={"thinking_tokens": 60})  # fmt: skip
    (report,) = [event for event in decode(sse(START, *TEXT, late, STOP)) if isinstance(event, UsageReport)]
    assert report.usage == Usage(input_tokens=640, output_tokens=90, cached_tokens=100, reasoning_tokens=60)


def test_thoughts_are_signed_each_by_itself() -> None:
    events = decode(
        sse(
            START,
            opened(0, type="thinking", thinking="", signature=""),
            grown(0, "thinking_delta", thinking="Let me "),
            grown(0, "thinking_delta", thinking="see."),
            grown(0, "signature_delta", signature="EqQB"),
            grown(0, "signature_delta", signature="CgYI"),
            shut(0),
            opened(1, type="redacted_thinking", data="cipher"),
            shut(1),
            opened(2, type="thinking", thinking="", signature=""),
            grown(2, "signature_delta", signature="hidden"),
            shut(2),
            opened(3, type="text", text="So"),
            shut(3),
            ended("end_turn", output_tokens=1),
            STOP,
        )
    )
    assert events[:6] == [
        ReasoningDelta("Let me "),
        ReasoningDelta("see."),
        ReasoningDelta("", kept(type="thinking", thinking="Let me see.", signature="EqQBCgYI")),
        ReasoningDelta("", kept(type="redacted_thinking", data="cipher")),
        ReasoningDelta("", kept(type="thinking", thinking="", signature="hidden")),
        TextDelta("So"),
    ]


def test_a_thought_that_nobody_signed_or_closed() -> None:
    unsigned = [opened(0, type="thinking", thinking="a"), grown(0, "thinking_delta", thinking="b"), shut(0)]
    assert decode(sse(START, *unsigned, *TEXT, STOP))[:2] == [ReasoningDelta("a"), ReasoningDelta("b")]
    unclosed = [opened(0, type="thinking", thinking="a"), grown(0, "signature_delta", signature="s")]
    opaque = kept(type="thinking", thinking="a", signature="s")
    assert ReasoningDelta("", opaque) in decode(sse(START, *unclosed, ended("end_turn"), STOP))


def test_a_signature_has_a_bound() -> None:
    endless = [grown(0, "signature_delta", signature="s" * 900_000)] * 5
    events = decode(sse(START, opened(0, type="thinking", thinking="a"), *endless, shut(0), *TEXT, STOP))
    assert isinstance(events[-1], Error)
    assert events[-1].kind == "protocol"


def test_a_thought_that_nobody_opened() -> None:
    thought = [grown(0, "thinking_delta", thinking="hm"), grown(0, "signature_delta", signature="s"), shut(0)]
    opaque = kept(type="thinking", thinking="hm", signature="s")
    assert decode(sse(START, *thought, *TEXT, STOP))[:2] == [ReasoningDelta("hm"), ReasoningDelta("", opaque)]


def test_tools_are_called_side_by_side() -> None:
    events = decode(
        sse(
            START,
            *TEXT,
            opened(1, type="tool_use", id="toolu_1", name="get_weather", input={}),
            grown(1, "input_json_delta", partial_json=""),
            grown(1, "input_json_delta", partial_json='{"location":'),
            grown(1, "input_json_delta", partial_json=' "Oslo"}'),
            shut(1),
            opened(2, type="tool_use", id="toolu_2", name="clock", input={}),
            shut(2),
            opened(3, type="tool_use", id="", name="whole", input={"a": 1}),
            shut(3),
            ended("tool_use", output_tokens=89),
            STOP,
        )
    )
    calls = [event.call for event in events if isinstance(event, ToolCallEnd)]
    assert calls[:2] == [
        ToolCall(id="toolu_1", name="get_weather", arguments='{"location": "Oslo"}'),
        ToolCall(id="toolu_2", name="clock", arguments="{}"),
    ]
    assert (calls[2].name, calls[2].arguments, calls[2].id.startswith("call_")) == ("whole", '{"a":1}', True)
    assert events[-1] == Finish("tool_calls")


@pytest.mark.parametrize(
    ("reason", "finish"),
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("pause_turn", "length"),
        ("refusal", "filtered"),
        ("something_new", "stop"),
        (None, "stop"),
    ],
)
def test_how_it_ends(reason: str | None, finish: str) -> None:
    assert decode(sse(START, *TEXT, ended(reason), STOP))[-1] == Finish(finish)  # type: ignore[arg-type]


def test_a_refusal_without_a_word_is_an_error() -> None:
    last = decode(sse(START, ended("refusal", output_tokens=1), STOP))[-1]
    assert isinstance(last, Error)
    assert last.kind == "filtered"


def test_an_error_in_the_middle_keeps_what_was_said_and_its_cost() -> None:
    failed = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
    text, report, last = decode(sse(START, *TEXT[:2], failed))
    assert text == TextDelta("Okay")
    assert isinstance(report, UsageReport)
    assert isinstance(last, Error)
    assert (last.kind, last.retryable) == ("overload", True)


def test_half_a_character_in_a_name_keeps_nobody_from_passing_it_on() -> None:
    events = decode(sse(START, opened(0, type="tool_use", id="\ud83d1", name="x\ud83d", input={"a": 1}), shut(0), STOP))
    (call,) = (event.call for event in events if isinstance(event, ToolCallEnd))
    assert (call.id, call.name) == ("?1", "x?")


def test_an_error_before_the_first_word_is_the_first_event_so_that_somebody_is_asked_again() -> None:
    """Claude sends its bill first, also when it is overloaded right behind it."""
    overloaded = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
    for events, kind in ((decode(sse(START, overloaded)), "overload"), (decode(sse(START), cut=True), "interrupted")):
        (error,) = events
        assert isinstance(error, Error)
        assert (error.kind, error.retryable) == (kind, True)


def test_an_error_without_a_word_around_it() -> None:
    (last,) = decode(b'event: error\ndata: {"message": "Overloaded"}\n\n')
    assert isinstance(last, Error)
    assert last.kind == "overload"


def test_what_nobody_knows_is_passed_over() -> None:
    events = decode(
        sse(
            {"type": "brand_new", "index": 7},
            START,
            opened(0, type="server_tool_use", id="srvtoolu_1", name="web_search", input={}),
            grown(0, "input_json_delta", partial_json='{"query": "x"}'),
            shut(0),
            opened(1, type="web_search_tool_result", content=[{"type": "web_search_result"}]),
            shut(1),
            opened(2, type="text", text=""),
            grown(2, "citations_delta", citation={"url": "https://a.example"}),
            grown(2, "text_delta", text="Hi"),
            shut(2),
            shut(9),
            ended("end_turn"),
            STOP,
        )
    )
    assert [event for event in events if not isinstance(event, UsageReport)] == [TextDelta("Hi"), Finish("stop")]


def test_a_server_that_does_not_stream() -> None:
    content = [
        {"type": "thinking", "thinking": "Hm.", "signature": "s"},
        {"type": "text", "text": "Hello"},
        {"type": "tool_use", "id": "t", "name": "clock", "input": {}},
    ]
    whole = {"type": "message", "content": content, "stop_reason": "tool_use", "usage": {"input_tokens": 3}}
    opaque = kept(type="thinking", thinking="Hm.", signature="s")
    events = decode(json.dumps(whole).encode())
    assert events[:3] == [ReasoningDelta("Hm."), ReasoningDelta("", opaque), TextDelta("Hello")]
    assert events[-1] == Finish("tool_calls")


def test_a_break_behind_the_reason_to_stop_is_an_end() -> None:
    assert decode(sse(START, *TEXT, ended("end_turn")), cut=True)[-1] == Finish("stop")
    last = decode(sse(START, *TEXT), cut=True)[-1]
    assert isinstance(last, Error)
    assert last.kind == "interrupted"


def test_a_start_full_of_zeros_is_no_bill() -> None:
    zeros = {"type": "message_start", "message": {"usage": {"input_tokens": 0, "output_tokens": 0}}}
    assert not any(isinstance(event, UsageReport) for event in decode(sse(zeros, *TEXT), cut=True))
