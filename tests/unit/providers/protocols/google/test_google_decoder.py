"""Streams as https://ai.google.dev/gemini-api/docs shows them, and what real ones add."""

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
    ToolCallEnd,
    UsageReport,
)
from antiphon.providers.failures import Failures
from antiphon.providers.protocols.google.decoder import GoogleDecoder

BILL = {
    "promptTokenCount": 12, "candidatesTokenCount": 5, "thoughtsTokenCount": 30, "cachedContentTokenCount": 8,
    "toolUsePromptTokenCount": 3, "totalTokenCount": 50,
}  # fmt: skip


def chunk(*parts: dict[str, Any], finish: str | None = None, **more: Any) -> dict[str, Any]:
    candidate: dict[str, Any] = {"content": {"parts": list(parts), "role": "model"}, "index": 0}
    return {"candidates": [candidate | ({"finishReason": finish} if finish else {})], "modelVersion": "g", **more}


def sse(*chunks: Any) -> bytes:
    return b"".join(b"data: " + json.dumps(each).encode() + b"\r\n\r\n" for each in chunks)


def call(name: Any, args: Any = None, signature: str | None = None, **more: Any) -> dict[str, Any]:
    part: dict[str, Any] = {"functionCall": {"name": name, "args": args, **more}}
    return part | ({"thoughtSignature": signature} if signature else {})


def decode(data: bytes, *, cut: bool = False) -> list[Event]:
    decoder = GoogleDecoder(Failures("acme"), b"request")
    events = decoder.feed(data) + (decoder.cut() if cut else decoder.end())
    assert decoder.done
    return events


def failed(events: list[Event]) -> Error:
    assert isinstance(events[-1], Error)
    return events[-1]


def test_thoughts_text_and_the_bill() -> None:
    events = decode(
        sse(
            chunk({"text": "**Weighing**", "thought": True}, usageMetadata={"promptTokenCount": 12}),
            chunk({"text": "Hel"}),
            chunk({"text": "lo"}),
            chunk({"text": "", "thoughtSignature": "sig"}, finish="STOP", usageMetadata=BILL),
        )
    )
    assert events == [
        ReasoningDelta("**Weighing**"),
        TextDelta("Hel"),
        TextDelta("lo"),
        ReasoningDelta("", {"google": {"text": "sig"}}),
        UsageReport(Usage(input_tokens=15, output_tokens=35, cached_tokens=8, reasoning_tokens=30)),
        Finish("stop"),
    ]


def test_calls_come_whole_and_the_first_is_signed() -> None:
    first = chunk({"text": "hm", "thought": True, "thoughtSignature": "st"}, call("weather", {"city": "Oslo"}, "s0"))
    events = decode(sse(first, chunk(call("clock", id="own"), call("clock", {}), finish="STOP")))
    assert ReasoningDelta("", {"google": {"thought": "st", "calls": {"0": "s0"}}}) in events
    calls = [event.call for event in events if isinstance(event, ToolCallEnd)]
    assert [(each.name, each.arguments) for each in calls] == [
        ("weather", '{"city":"Oslo"}'),
        ("clock", "{}"),
        ("clock", "{}"),
    ]
    assert calls[1].id == "own"
    assert len({each.id for each in calls}) == 3
    assert events[-1] == Finish("tool_calls")


@pytest.mark.parametrize(
    ("reason", "finish"),
    [
        ("STOP", "stop"),
        ("MAX_TOKENS", "length"),
        ("SAFETY", "filtered"),
        ("RECITATION", "filtered"),
        ("PROHIBITED_CONTENT", "filtered"),
        ("SPII", "filtered"),
        ("FINISH_REASON_UNSPECIFIED", "stop"),
    ],
)
def test_how_it_ends(reason: str, finish: str) -> None:
    assert decode(sse(chunk({"text": "So"}), chunk(finish=reason)))[-1] == Finish(finish)  # type: ignore[arg-type]


@pytest.mark.parametrize("reason", ["MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL", "OTHER", "TOMORROWS_REASON"])
def test_what_went_wrong_on_its_side_may_be_tried_again(reason: str) -> None:
    error = failed(decode(sse({"candidates": [{"finishReason": reason, "index": 0}]})))
    assert (error.kind, error.retryable) == ("server", True)
    assert reason in error.message


def test_a_question_that_is_blocked() -> None:
    error = failed(decode(sse({"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}, "usageMetadata": BILL})))
    assert (error.kind, error.retryable) == ("filtered", False)


def test_a_filter_before_the_first_word() -> None:
    assert failed(decode(sse({"candidates": [{"finishReason": "SAFETY"}]}))).kind == "filtered"


@pytest.mark.parametrize("content", [{}, {"role": "model"}, {"parts": None}, {"parts": []}, None])
def test_an_end_without_parts(content: Any) -> None:
    events = decode(sse({"candidates": [{"content": content, "finishReason": "STOP"}], "usageMetadata": BILL}))
    assert events[-1] == Finish("stop")


def test_only_the_first_candidate_counts() -> None:
    other = {"candidates": [{"content": {"parts": [{"text": "no"}]}, "index": 1}]}
    assert decode(sse(chunk({"text": "yes"}), other, chunk(finish="STOP"))) == [TextDelta("yes"), Finish("stop")]


def test_parts_that_nobody_knows() -> None:
    strange: list[dict[str, Any]] = [
        {"executableCode": {"code": "1"}},
        {"inlineData": {"data": "x"}},
        {"text": 5},
        {"text": "ok"},
    ]
    assert decode(sse(chunk(*strange, finish="STOP"))) == [TextDelta("ok"), Finish("stop")]


def test_an_error_in_the_middle_keeps_what_was_said() -> None:
    broken = {"error": {"code": 503, "message": "The model is overloaded.", "status": "UNAVAILABLE"}}
    text, last = decode(sse(chunk({"text": "So"}), broken))
    assert text == TextDelta("So")
    assert isinstance(last, Error)
    assert (last.kind, last.retryable) == ("overload", True)


def test_a_call_without_a_name_is_no_answer() -> None:
    assert failed(decode(sse(chunk(call(None, {"a": 1}), finish="STOP")))).kind == "protocol"


def test_a_stream_without_an_end_was_cut() -> None:
    error = failed(decode(sse(chunk({"text": "So"}))))
    assert (error.kind, error.retryable) == ("interrupted", False)
    assert decode(sse(chunk({"text": "So"}, finish="STOP")), cut=True)[-1] == Finish("stop")


def test_a_server_that_does_not_stream() -> None:
    whole = chunk({"text": "hm", "thought": True}, {"text": "Hello"}, finish="STOP", usageMetadata=BILL)
    assert decode(json.dumps(whole).encode())[:2] == [ReasoningDelta("hm"), TextDelta("Hello")]
