"""Streams as https://platform.openai.com/docs/api-reference/responses-streaming shows them."""

import itertools
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from antiphon.domain import Usage
from antiphon.providers.base import (
    Error,
    Event,
    Finish,
    ReasoningDelta,
    TextDelta,
    ToolCallDelta,
    ToolCallEnd,
    ToolCallStart,
    UsageReport,
)
from antiphon.providers.failures import Failures
from antiphon.providers.protocols.openai_responses.decoder import OpenAIResponsesDecoder

USAGE = {
    "input_tokens": 50,
    "input_tokens_details": {"cached_tokens": 40},
    "output_tokens": 20,
    "output_tokens_details": {"reasoning_tokens": 12},
    "total_tokens": 70,
}
COUNTED = Usage(input_tokens=50, output_tokens=20, cached_tokens=40, reasoning_tokens=12)


def sse(*events: dict[str, Any], named: bool = True) -> bytes:
    lines = []
    for number, event in enumerate(events):
        name = f"event: {event['type']}\n" if named else ""
        lines.append(f"{name}data: {json.dumps({**event, 'sequence_number': number}, ensure_ascii=False)}\n\n")
    return "".join(lines).encode()


def made(*output: dict[str, Any], status: str = "completed", **fields: Any) -> dict[str, Any]:
    return {"id": "resp_1", "object": "response", "status": status, "output": list(output), "usage": USAGE, **fields}


def ended(*output: dict[str, Any], status: str = "completed", **fields: Any) -> dict[str, Any]:
    return {"type": f"response.{status}", "response": made(*output, status=status, **fields)}


def added(item: dict[str, Any], index: int = 0) -> dict[str, Any]:
    return {"type": "response.output_item.added", "output_index": index, "item": item}


def done(item: dict[str, Any], index: int = 0) -> dict[str, Any]:
    return {"type": "response.output_item.done", "output_index": index, "item": item}


def piece(kind: str, text: str, index: int = 0) -> dict[str, Any]:
    return {"type": f"response.{kind}.delta", "output_index": index, "delta": text}


BEGUN = ({"type": "response.created", "response": made(status="in_progress", usage=None)},) * 2
SAYS = {"id": "msg_1", "type": "message", "role": "assistant", "status": "in_progress", "content": []}
SAID = {**SAYS, "status": "completed", "content": [{"type": "output_text", "text": "Hello 😀", "annotations": []}]}
THINKS = {"id": "rs_1", "type": "reasoning", "summary": []}
THOUGHT = {
    "id": "rs_1",
    "type": "reasoning",
    "status": None,
    "encrypted_content": "gAAA",
    "summary": [{"type": "summary_text", "text": "First."}, {"type": "summary_text", "text": "Then."}],
}
SEALED = {key: value for key, value in THOUGHT.items() if key != "status"}
CALLS = {"id": "fc_1", "type": "function_call", "call_id": "c1", "name": "clock", "arguments": ""}
CALLED = {**CALLS, "arguments": '{"zone":"UTC"}', "status": "completed"}
OTHER = {**CALLED, "id": "fc_2", "call_id": "c2", "name": "sums", "arguments": '{"a":1}'}


def kept(*items: dict[str, Any]) -> dict[str, Any]:
    return {"openai_responses": [{"maker": "openai:m", "item": item} for item in items]}


OPAQUE = kept(SEALED)

HELLO = (added(SAYS), piece("output_text", "Hello "), piece("output_text", "😀"), done(SAID))
REASONED = (
    added(THINKS),
    {"type": "response.reasoning_summary_part.added", "output_index": 0, "summary_index": 0},
    piece("reasoning_summary_text", "First."),
    {"type": "response.reasoning_summary_text.done", "output_index": 0, "text": "First."},
    {"type": "response.reasoning_summary_part.added", "output_index": 0, "summary_index": 1},
    piece("reasoning_summary_text", "Then."),
    done(THOUGHT),
)
PARALLEL = (
    added(CALLS, 1),
    piece("function_call_arguments", '{"zone":', 1),
    piece("function_call_arguments", '"UTC"}', 1),
    {"type": "response.function_call_arguments.done", "output_index": 1, "arguments": '{"zone":"UTC"}'},
    done(CALLED, 1),
    added({**OTHER, "arguments": ""}, 2),
    piece("function_call_arguments", '{"a":1}', 2),
    done(OTHER, 2),
)


def decode(data: bytes, cuts: list[int] | None = None, *, end: bool = True) -> list[Event]:
    """The events of `data` cut at `cuts`."""
    decoder = OpenAIResponsesDecoder(Failures("acme"), b'{"model":"m"}', maker="openai:m")
    edges = [0, *sorted(cut % (len(data) + 1) for cut in cuts or []), len(data)]
    events = [event for start, stop in itertools.pairwise(edges) for event in decoder.feed(data[start:stop])]
    events += decoder.end() if end else decoder.cut()
    assert decoder.done
    assert decoder.feed(b"data: {}\n\n") == decoder.end() == decoder.cut() == []
    assert [index for index, event in enumerate(events) if isinstance(event, Finish | Error)] == [len(events) - 1]
    return events


def told(events: list[Event]) -> tuple[str, str, list[tuple[str, str, str]], list[Any], Finish | Error]:
    """Text, reasoning, calls, what is opaque, and the end."""
    calls = [event.call for event in events if isinstance(event, ToolCallEnd)]
    pieces = {event.index: "" for event in events if isinstance(event, ToolCallStart)}
    for event in events:
        if isinstance(event, ToolCallDelta):
            pieces[event.index] += event.arguments
    assert [pieces[index] or "{}" for index in sorted(pieces)] == [call.arguments for call in calls]
    last = events[-1]
    assert isinstance(last, Finish | Error)
    return (
        "".join(event.text for event in events if isinstance(event, TextDelta)),
        "".join(event.text for event in events if isinstance(event, ReasoningDelta)),
        [(call.id, call.name, call.arguments) for call in calls],
        [event.opaque for event in events if isinstance(event, ReasoningDelta) and event.opaque is not None],
        last,
    )


def error(events: list[Event]) -> Error:
    last = events[-1]
    assert isinstance(last, Error)
    return last


def test_a_plain_answer() -> None:
    assert decode(sse(*BEGUN, *HELLO, ended(SAID))) == [
        TextDelta("Hello "),
        TextDelta("😀"),
        UsageReport(COUNTED),
        Finish("stop"),
    ]


def test_the_last_event_is_the_end_without_a_mark_behind_it() -> None:
    decoder = OpenAIResponsesDecoder(Failures("acme"), b"", maker="m")
    events = decoder.feed(sse(*HELLO, ended()))
    assert decoder.done
    assert events[-1] == Finish("stop")


def test_reasoning_is_shown_in_paragraphs_and_sealed_before_what_follows_it() -> None:
    events = decode(sse(*BEGUN, *REASONED, *PARALLEL, ended(THOUGHT, CALLED, OTHER)))
    calls = [("c1", "clock", '{"zone":"UTC"}'), ("c2", "sums", '{"a":1}')]
    assert told(events) == ("", "First.\n\nThen.", calls, [OPAQUE], Finish("tool_calls"))
    kinds = [type(event) for event in events]
    assert events.index(ReasoningDelta("", OPAQUE)) < kinds.index(ToolCallStart)


def test_two_reasonings_in_a_row_are_sealed_together() -> None:
    second = {**THOUGHT, "id": "rs_2", "summary": []}
    stream = sse(
        *REASONED, added({**THINKS, "id": "rs_2"}, 1), done(second, 1), added(SAYS, 2), piece("output_text", "x", 2)
    )
    _, _, _, opaque, _ = told(decode(stream + sse(ended())))
    assert opaque == [kept(SEALED, {**SEALED, "id": "rs_2", "summary": []})]


def test_reasoning_that_is_told_twice_is_kept_once() -> None:
    _, _, _, opaque, _ = told(
        decode(sse(*REASONED, done(THOUGHT, 0), added(SAYS, 1), piece("output_text", "x", 1), ended()))
    )
    assert opaque == [kept(SEALED)]


def test_which_word_is_the_last_is_kept_with_it() -> None:
    stream = sse(*REASONED, added({**SAYS, "phase": "commentary"}, 1), piece("output_text", "Let me look.", 1), ended())
    text, _, _, opaque, _ = told(decode(stream))
    assert text == "Let me look."
    assert opaque == [kept(SEALED, {"type": "message", "phase": "commentary"})]


def test_reasoning_that_nobody_could_open_again_is_not_kept() -> None:
    bare = {**THOUGHT, "encrypted_content": None}
    assert told(decode(sse(*REASONED[:-1], done(bare), *HELLO, ended())))[3] == []


def test_open_models_think_aloud() -> None:
    item = {**THINKS, "content": [{"type": "reasoning_text", "text": "hm"}]}
    stream = sse(added(THINKS), piece("reasoning_text", "hm"), done(item), added(SAYS, 1), piece("output_text", "x", 1))
    _, reasoning, _, opaque, _ = told(decode(stream + sse(ended())))
    assert reasoning == "hm"
    assert opaque == [kept(item)]


def test_a_refusal_is_what_it_says() -> None:
    assert told(decode(sse(added(SAYS), piece("refusal", "I can't."), ended())))[0] == "I can't."


@pytest.mark.parametrize(
    ("reason", "finish"), [("max_output_tokens", "length"), ("content_filter", "filtered"), ("other", "stop")]
)
def test_an_incomplete_answer(reason: str, finish: str) -> None:
    events = decode(sse(*HELLO, ended(SAID, status="incomplete", incomplete_details={"reason": reason})))
    assert events[-2:] == [UsageReport(COUNTED), Finish(finish)]  # type: ignore[arg-type]  # one of the reasons


def test_a_filter_that_leaves_nothing_says_so() -> None:
    events = decode(sse(*BEGUN, ended(status="incomplete", incomplete_details={"reason": "content_filter"})))
    assert error(events).kind == "filtered"
    assert UsageReport(COUNTED) in events


@pytest.mark.parametrize(
    ("event", "kind"),
    [
        (ended(status="failed", error={"code": "rate_limit_exceeded", "message": "slow"}), "rate"),
        (ended(status="failed", error={"code": "server_error", "message": "x"}), "server"),
        (ended(status="failed", error=None), "server"),
        (ended(status="cancelled"), "interrupted"),
        ({"type": "error", "code": "server_error", "message": "x", "param": None}, "server"),
        ({"type": "error", "error": {"type": "insufficient_quota", "message": "pay"}}, "quota"),
        ({"type": "error", "code": None, "message": None}, "server"),
    ],
)
def test_an_error_inside_the_stream(event: dict[str, Any], kind: str) -> None:
    events = decode(sse(*BEGUN, *HELLO[:2], event))
    assert told(events)[0] == "Hello "
    assert error(events).kind == kind


@pytest.mark.parametrize("end", [True, False])
def test_without_its_last_event_an_answer_was_cut(end: bool) -> None:
    assert (error(decode(sse(*HELLO), end=end)).kind, error(decode(sse(*HELLO), end=end)).retryable) == (
        "interrupted",
        False,
    )
    assert error(decode(sse(*BEGUN), end=end)).retryable


def test_items_without_pieces_are_taken_whole() -> None:
    events = decode(sse(done(THOUGHT), done(CALLED, 1), done(OTHER, 2), ended(THOUGHT, CALLED, OTHER)))
    calls = [("c1", "clock", '{"zone":"UTC"}'), ("c2", "sums", '{"a":1}')]
    assert told(events) == ("", "First.\n\nThen.", calls, [OPAQUE], Finish("tool_calls"))
    assert told(decode(sse(ended(THOUGHT, SAID))))[:2] == ("Hello 😀", "First.\n\nThen.")


def test_arguments_that_come_only_whole() -> None:
    whole = {"type": "response.function_call_arguments.done", "output_index": 1, "arguments": '{"zone":"UTC"}'}
    assert told(decode(sse(added(CALLS, 1), whole, done(CALLED, 1), ended())))[2] == [("c1", "clock", '{"zone":"UTC"}')]


def test_an_answer_that_does_not_stream() -> None:
    body = json.dumps(made(THOUGHT, SAID, CALLED)).encode()
    text, reasoning, calls, opaque, last = told(decode(body))
    assert (text, reasoning, opaque) == ("Hello 😀", "First.\n\nThen.", [OPAQUE])
    assert calls == [("c1", "clock", '{"zone":"UTC"}')]
    assert last == Finish("tool_calls")


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ({"error": {"type": "overloaded_error", "message": "x"}}, "overload"),
        ({"error": "no"}, "server"),
        ({"message": "x"}, "server"),
        (made(status="failed", error={"code": "server_error", "message": "x"}), "server"),
        ([], "protocol"),
    ],
)
def test_an_error_instead_of_a_stream(body: Any, kind: str) -> None:
    assert error(decode(json.dumps(body).encode())).kind == kind


@pytest.mark.parametrize(
    "data",
    [
        b"<html>",
        b"data: [1]\n\n",
        b"data: {\n\n",
        b'data: {"type": 5}\n\n',
        b'data: {"type":"response.completed","response":5}\n\n',
        b'data: {"type":"response.completed","response":{"output":' + b"[" * 50_000 + b"\n\n",
        b"data: \xff\xfe\n\n",
    ],
)
def test_garbage_is_an_error(data: bytes) -> None:
    assert error(decode(data)).kind == "protocol"


@pytest.mark.parametrize(
    "event",
    [
        {"type": "response.output_text.delta", "output_index": None, "delta": 5},
        {"type": "response.output_item.added", "item": "x"},
        {"type": "response.output_item.done", "item": {"type": "reasoning", "summary": "x", "content": 5}},
        {"type": "response.output_item.done", "item": {"type": "message", "content": ["x", {"text": 1}]}},
        {"type": "response.output_item.done", "item": {"type": "web_search_call"}},
        {"type": "response.something.new", "delta": "x"},
        {"type": "keepalive"},
        {},
    ],
)
def test_what_is_new_or_odd_is_passed_over(event: dict[str, Any]) -> None:
    data = b"data: " + json.dumps(event).encode() + b"\n\n"
    assert told(decode(data + sse(*HELLO, ended())))[4] == Finish("stop")


def test_a_call_without_a_name_is_an_error() -> None:
    assert error(decode(sse(added({**CALLS, "name": None}), ended()))).kind == "protocol"


def test_halves_of_characters_in_what_is_kept_do_not_spoil_it() -> None:
    item = {**THOUGHT, "summary": [{"type": "summary_text", "text": "a\ud83d"}]}
    data = b"data: " + json.dumps(done(item)).encode() + b"\n\n"
    broken = data.replace(b"gAAA", b"gA\xffA") + sse(*HELLO, ended())
    opaque = told(decode(broken))[3]
    json.dumps(opaque, ensure_ascii=False).encode()
    assert len(opaque) == 1


WHOLE = sse(*BEGUN, *REASONED, *HELLO, *PARALLEL, ended(THOUGHT, SAID, CALLED, OTHER))


@settings(deadline=None)
@given(cuts=st.lists(st.integers(0, len(WHOLE)), max_size=40))
def test_any_cut_tells_the_same(cuts: list[int]) -> None:
    assert told(decode(WHOLE, cuts)) == told(decode(WHOLE))


@settings(deadline=None)
@given(st.integers(0, len(WHOLE)), st.binary(max_size=20))
def test_any_damage_ends_in_one_way(place: int, junk: bytes) -> None:
    decode(WHOLE[:place] + junk + WHOLE[place + len(junk) :])
