"""Lines as https://docs.ollama.com/api/chat shows them."""

import itertools
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from antiphon.domain import Usage
from antiphon.providers.base import Error, Event, Finish, ReasoningDelta, TextDelta, ToolCallEnd, UsageReport
from antiphon.providers.failures import Failures
from antiphon.providers.protocols.ollama.decoder import OllamaDecoder


def line(*, done: bool = False, **message: Any) -> bytes:
    fields = {"model": "qwen3", "created_at": "2026-11-21T20:00:00Z", "message": {"role": "assistant", **message}}
    return json.dumps({**fields, "done": done}, ensure_ascii=False).encode() + b"\n"


def ended(reason: Any = "stop", **fields: Any) -> bytes:
    counts = {"total_duration": 5, "prompt_eval_count": 26, "eval_count": 9} | fields
    message = {"role": "assistant", "content": ""}
    return (
        json.dumps({"model": "qwen3", "message": message, "done": True, "done_reason": reason, **counts}).encode()
        + b"\n"
    )


def call(name: Any, arguments: Any, **fields: Any) -> dict[str, Any]:
    return {"function": {"index": 0, "name": name, "arguments": arguments}, **fields}


HELLO = line(content="Hel") + line(content="lo 😀")
USED = UsageReport(Usage(input_tokens=26, output_tokens=9))


def decode(data: bytes, cuts: list[int] | None = None, *, end: bool = True) -> list[Event]:
    """The events of `data` cut at `cuts`."""
    decoder = OllamaDecoder(Failures("acme"), b"request")
    edges = [0, *sorted(cut % (len(data) + 1) for cut in cuts or []), len(data)]
    events = [event for start, stop in itertools.pairwise(edges) for event in decoder.feed(data[start:stop])]
    events += decoder.end() if end else decoder.cut()
    assert decoder.done
    assert decoder.feed(HELLO) == decoder.end() == decoder.cut() == []
    assert [index for index, event in enumerate(events) if isinstance(event, Finish | Error)] == [len(events) - 1]
    return events


def calls(events: list[Event]) -> list[tuple[str, str]]:
    ends = [event.call for event in events if isinstance(event, ToolCallEnd)]
    assert len({each.id for each in ends}) == len(ends)
    assert all(each.id for each in ends)
    return [(each.name, each.arguments) for each in ends]


def error(events: list[Event]) -> Error:
    last = events[-1]
    assert isinstance(last, Error)
    return last


def test_a_plain_answer() -> None:
    assert decode(HELLO + ended()) == [TextDelta("Hel"), TextDelta("lo 😀"), USED, Finish("stop")]


def test_the_last_line_needs_no_line_feed() -> None:
    assert decode((HELLO + ended()).rstrip())[-1] == Finish("stop")


def test_thinking_comes_first() -> None:
    events = decode(line(thinking="h") + line(thinking="m", content="") + HELLO + ended())
    assert events[:3] == [ReasoningDelta("h"), ReasoningDelta("m"), TextDelta("Hel")]


def test_calls_come_whole_with_an_index_of_always_0() -> None:
    first, second = call("clock", {"zone": "UTC"}), call("sums", {"a": [1, 2]})
    expected = [("clock", '{"zone":"UTC"}'), ("sums", '{"a":[1,2]}'), ("clock", '{"zone":"UTC"}')]
    events = decode(line(tool_calls=[first, second]) + line(content="", tool_calls=[first]) + ended())
    assert calls(events) == expected
    assert events[-1] == Finish("tool_calls")


def test_ids_are_kept_where_there_are_any() -> None:
    events = decode(line(tool_calls=[call("clock", {}, id="call_a"), call("clock", {}, id="call_b")]) + ended())
    assert [event.call.id for event in events if isinstance(event, ToolCallEnd)] == ["call_a", "call_b"]
    assert calls(events) == [("clock", "{}"), ("clock", "{}")]


@pytest.mark.parametrize("arguments", [None, {}, "{}"])
def test_a_call_without_arguments(arguments: Any) -> None:
    assert calls(decode(line(tool_calls=[call("clock", arguments)]) + ended())) == [("clock", "{}")]


@pytest.mark.parametrize("junk", [5, "x", {}, [5], [{}], [{"function": 5}]])
def test_odd_calls_are_passed_over(junk: Any) -> None:
    assert decode(line(content="a", tool_calls=junk) + ended())[-1] == Finish("stop")


@pytest.mark.parametrize(
    ("reason", "finish"), [("stop", "stop"), ("length", "length"), ("load", "stop"), (None, "stop")]
)
def test_reasons(reason: Any, finish: str) -> None:
    assert decode(HELLO + ended(reason))[-1] == Finish(finish)  # type: ignore[arg-type]  # one of the reasons


def test_what_is_not_counted_is_not_told() -> None:
    assert decode(HELLO + ended(prompt_eval_count=None))[-2] == UsageReport(Usage(output_tokens=9))
    uncounted = decode(HELLO + ended(prompt_eval_count=None, eval_count=None))
    assert uncounted == [TextDelta("Hel"), TextDelta("lo 😀"), Finish("stop")]


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b'{"error": "model runner has unexpectedly stopped"}\n', "server"),
        (b'{"error": {"message": "x", "type": "overloaded_error"}}\n', "overload"),
        (b'{"error": "an error was encountered", "status_code": 500}', "server"),
    ],
)
def test_an_error_among_the_lines(data: bytes, kind: str) -> None:
    assert error(decode(data)).kind == kind
    events = decode(HELLO + data)
    assert events[:2] == [TextDelta("Hel"), TextDelta("lo 😀")]
    assert error(events).kind == kind


@pytest.mark.parametrize("end", [True, False])
def test_an_answer_that_is_not_done_was_cut(end: bool) -> None:
    found = error(decode(HELLO, end=end))
    assert (found.kind, found.retryable) == ("interrupted", False)
    assert error(decode(b"", end=end)).retryable


@pytest.mark.parametrize(
    "data",
    [b"<html>", b"[1]\n", b"{\n{}\n", b'{"message": 5}\n', b"\xff\xfe\n", b'{"message":' + b"[" * 50_000 + b"\n\n"],
)
def test_garbage_is_an_error(data: bytes) -> None:
    assert error(decode(data)).kind == "protocol"


@pytest.mark.parametrize("message", [{"content": 5}, {"thinking": []}, {"images": None}, {}])
def test_what_is_odd_is_passed_over(message: dict[str, Any]) -> None:
    assert decode(line(**message) + HELLO + ended())[-1] == Finish("stop")


def test_a_call_without_a_name_is_an_error() -> None:
    assert error(decode(line(tool_calls=[call(None, {"a": 1})]) + ended())).kind == "protocol"


WHOLE = line(thinking="hä") + HELLO + line(tool_calls=[call("clock", {"zone": "ü"}), call("sums", {})]) + ended()


@settings(deadline=None)
@given(cuts=st.lists(st.integers(0, len(WHOLE)), max_size=40))
def test_any_cut_tells_the_same(cuts: list[int]) -> None:
    assert decode(WHOLE, cuts) == decode(WHOLE)


@settings(deadline=None)
@given(st.integers(0, len(WHOLE)), st.binary(max_size=20))
def test_any_damage_ends_in_one_way(place: int, junk: bytes) -> None:
    decode(WHOLE[:place] + junk + WHOLE[place + len(junk) :])
