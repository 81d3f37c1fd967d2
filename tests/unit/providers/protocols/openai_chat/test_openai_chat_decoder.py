import itertools
import json
from time import process_time
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
    ToolCall,
    ToolCallDelta,
    ToolCallEnd,
    ToolCallStart,
    UsageReport,
)
from antiphon.providers.failures import Failures
from antiphon.providers.protocols import answer
from antiphon.providers.protocols.openai_chat.decoder import OpenAIChatDecoder
from antiphon.providers.protocols.openai_chat.quirks import Quirks

DONE = b"data: [DONE]\n\n"


def sse(*chunks: Any) -> bytes:
    return b"".join(b"data: " + json.dumps(chunk, ensure_ascii=False).encode() + b"\n\n" for chunk in chunks)


def delta(*, finish: Any = None, **fields: Any) -> dict[str, Any]:
    return {
        "id": "x",
        "object": "chat.completion.chunk",
        "choices": [{"index": 0, "delta": fields, "finish_reason": finish}],
    }


def piece(name: Any = None, arguments: Any = None, **fields: Any) -> dict[str, Any]:
    function = {key: value for key, value in {"name": name, "arguments": arguments}.items() if value is not None}
    return {"function": function, **fields}


def tools(*pieces: dict[str, Any]) -> dict[str, Any]:
    return delta(tool_calls=list(pieces))


def decode(
    data: bytes, cuts: list[int] | None = None, *, quirks: Quirks | None = None, end: bool = True
) -> list[Event]:
    """The events of `data` cut at `cuts`; neighbouring pieces of text are joined."""
    decoder = OpenAIChatDecoder(Failures("acme"), quirks or Quirks(), b"request", wait=None)
    edges = [0, *sorted(cut % (len(data) + 1) for cut in cuts or []), len(data)]
    events = [event for start, stop in itertools.pairwise(edges) for event in decoder.feed(data[start:stop])]
    events += decoder.end() if end else decoder.cut()
    assert decoder.done
    assert decoder.feed(b"data: {}\n\n") == decoder.end() == decoder.cut() == []
    return events


def calls(events: list[Event]) -> list[ToolCall]:
    """The finished calls, after a look at whether starts, deltas and ends agree."""
    started: dict[int, tuple[str, str]] = {}
    texts: dict[int, str] = {}
    found = []
    for event in events:
        match event:
            case ToolCallStart(index, call_id, name):
                assert index not in started
                assert call_id
                assert name
                started[index] = call_id, name
                texts[index] = ""
            case ToolCallDelta(index, arguments):
                assert arguments
                texts[index] += arguments
            case ToolCallEnd(index, call):
                assert started.pop(index) == (call.id, call.name)
                assert (texts[index].strip() or "{}") == call.arguments
                found.append(call)
    assert not started or isinstance(events[-1], Error)
    assert len({call.id for call in found}) == len(found)
    return found


def brief(events: list[Event]) -> list[tuple[str, str]]:
    return [(call.name, call.arguments) for call in calls(events)]


def text(events: list[Event]) -> str:
    return "".join(event.text for event in events if isinstance(event, TextDelta))


def error(events: list[Event]) -> Error:
    last = events[-1]
    assert isinstance(last, Error)
    return last


HELLO = sse(delta(role="assistant", content=""), delta(content="Hel"), delta(content="lo"))
STOP = sse(delta(finish="stop"))
USAGE = {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}

# --- text, reasoning, the end -------------------------------------------------------------------------------------


def test_a_plain_answer() -> None:
    assert decode(HELLO + STOP + sse({"choices": [], "usage": USAGE}) + DONE) == [
        TextDelta("Hel"),
        TextDelta("lo"),
        UsageReport(Usage(input_tokens=5, output_tokens=2)),
        Finish("stop"),
    ]


@pytest.mark.parametrize("tail", [STOP + DONE, STOP, DONE, DONE.rstrip(), STOP + DONE + sse(delta(content="late"))])
def test_an_answer_may_lack_its_reason_or_its_mark_of_the_end(tail: bytes) -> None:
    assert decode(HELLO + tail) == [TextDelta("Hel"), TextDelta("lo"), Finish("stop")]


@pytest.mark.parametrize("end", [True, False])
def test_an_answer_without_both_was_cut(end: bool) -> None:
    events = decode(HELLO, end=end)
    assert text(events) == "Hello"
    assert (error(events).kind, error(events).retryable) == ("interrupted", False)


def test_a_break_behind_the_reason_lost_nothing() -> None:
    assert decode(HELLO + STOP, end=False)[-1] == Finish("stop")


@pytest.mark.parametrize("data", [b"", b"\n\n", b": PROCESSING\n\n", sse(delta(role="assistant", content=""))])
def test_a_cut_before_the_first_event_may_be_tried_again(data: bytes) -> None:
    (only,) = decode(data)
    assert isinstance(only, Error)
    assert (only.kind, only.retryable) == ("interrupted", True)


def test_a_cut_inside_of_a_line_is_a_cut() -> None:
    assert error(decode(HELLO + b'data: {"choices": [{"del')).kind == "interrupted"


@pytest.mark.parametrize(
    ("reason", "finish"),
    [("stop", "stop"), ("length", "length"), ("eos", "stop"), ("content_filter", "filtered"), ("max_tokens", "length")],
)
def test_reasons(reason: str, finish: str) -> None:
    last = decode(HELLO + sse(delta(finish=reason)) + DONE)[-1]
    assert isinstance(last, Finish)
    assert last.reason == finish


def test_a_filter_that_leaves_nothing_says_so() -> None:
    assert error(decode(sse(delta(content=None, finish="content_filter")) + DONE)).kind == "filtered"


def test_a_finish_for_an_error_is_an_error() -> None:
    assert error(decode(HELLO + sse(delta(finish="error")) + DONE)).kind == "server"


def test_content_in_parts() -> None:
    parts = [
        {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]},
        {"type": "text", "text": "A"},
        {"type": "image_url", "image_url": {}},
        {"type": "text", "text": "B"},
    ]
    assert decode(sse(delta(content=parts)) + DONE) == [ReasoningDelta("hm"), TextDelta("AB"), Finish("stop")]


@pytest.mark.parametrize(
    "fields",
    [
        {"reasoning": "hm"},
        {"reasoning_content": "hm"},
        {"reasoning": "hm", "reasoning_content": "hm"},
        {"reasoning_details": [{"type": "reasoning.text", "text": "hm"}]},
    ],
)
def test_reasoning_in_any_of_its_fields_counts_once(fields: dict[str, Any]) -> None:
    assert decode(sse(delta(content=None, **fields)) + DONE)[0] == ReasoningDelta("hm")


def test_signed_reasoning_is_handed_over_whole() -> None:
    chunks = [
        delta(reasoning="h", reasoning_details=[{"type": "reasoning.text", "text": "h", "index": 0}]),
        delta(reasoning="m", reasoning_details=[{"type": "reasoning.text", "text": "m", "index": 0}]),
        delta(reasoning_details=[{"type": "reasoning.text", "signature": "s", "index": 0}, 5]),
        delta(reasoning_details=[{"type": "reasoning.encrypted", "data": "e", "index": 1}]),
    ]
    events = decode(sse(*chunks) + DONE, quirks=Quirks(reasoning_details=True))
    details = [
        {"type": "reasoning.text", "text": "hm", "index": 0, "signature": "s"},
        {"type": "reasoning.encrypted", "data": "e", "index": 1},
    ]
    assert events[2] == ReasoningDelta("", {"openai_chat": details})


def signed(*details: Any) -> bytes:
    return sse(*[delta(content="x", reasoning_details=[each]) for each in details], delta(finish="stop")) + DONE


def test_signed_reasoning_that_was_cut_in_a_character_can_be_kept() -> None:
    data = signed({"type": "t", "index": 0, "text": "two €"})
    first, euro, rest = data.partition("€".encode())
    again = b'"}]}}]}\n\ndata: {"choices":[{"delta":{"reasoning_details":[{"type":"t","index":0,"text":"'
    events = decode(first + euro[:1] + again + euro[1:] + rest, quirks=Quirks(reasoning_details=True))
    (kept,) = [event.opaque for event in events if isinstance(event, ReasoningDelta) and event.opaque]
    assert kept == {"openai_chat": [{"type": "t", "index": 0, "text": "two €"}]}
    half = decode(
        signed({"type": "t", "text": "HALF"}).replace(b"HALF", euro[:1]), quirks=Quirks(reasoning_details=True)
    )
    assert json.dumps(
        [event.opaque for event in half if isinstance(event, ReasoningDelta)], ensure_ascii=False
    ).encode()


def test_signed_reasoning_has_a_bound() -> None:
    much = [{"type": str(number), "data": "x" * 900_000} for number in range(5)]
    assert error(decode(signed(*much), quirks=Quirks(reasoning_details=True))).kind == "protocol"
    deep = signed({"type": "t", "data": "DEEP"}).replace(b'"DEEP"', b"[" * 600 + b"]" * 600)
    assert isinstance(decode(deep, quirks=Quirks(reasoning_details=True))[-1], Error | Finish)


def test_signed_reasoning_costs_as_much_a_piece_however_long_it_is() -> None:
    chunk = delta(content="x", reasoning_details=[{"type": "t", "index": 0, "text": "abcd"}] * 10_000)
    data = sse(*[chunk] * 25) + DONE
    began = process_time()
    events = decode(data, quirks=Quirks(reasoning_details=True))
    assert process_time() - began < 8  # a text that is copied with every piece takes 38 s
    (kept,) = [event.opaque for event in events if isinstance(event, ReasoningDelta) and event.opaque]
    assert kept == {"openai_chat": [{"type": "t", "index": 0, "text": "abcd" * 250_000}]}


def test_a_refusal_is_what_the_model_says() -> None:
    assert text(decode(sse(delta(refusal="No.")) + DONE)) == "No."


def test_only_the_first_choice_counts() -> None:
    other = {"choices": [{"index": 1, "delta": {"content": "B"}}, {"index": 0, "delta": {"content": "A"}}]}
    assert text(decode(sse(other) + DONE)) == "A"


def test_comments_line_ends_and_names_of_events() -> None:
    data = b": hi\r\n\r\nevent: message\r\n" + HELLO.replace(b"\n", b"\r\n") + b"data:\r\n\r\n" + DONE
    assert text(decode(data)) == "Hello"


def halves(first: bytes, second: bytes) -> bytes:
    """Two chunks of text whose JSON strings hold exactly these bytes."""
    return b"".join(b'data: {"choices":[{"delta":{"content":"' + half + b'"}}]}\n\n' for half in (first, second))


def test_characters_cut_between_chunks() -> None:
    raw, escaped = halves(b"\xf0\x9f", b"\x98\x80"), halves(b"\\ud83d", b"\\ude00")
    assert text(decode(raw + DONE)) == text(decode(escaped + DONE)) == "😀"


# --- usage --------------------------------------------------------------------------------------------------------


def reported(*chunks: Any, quirks: Quirks | None = None) -> list[Usage]:
    events = decode(HELLO + STOP + sse(*chunks) + DONE, quirks=quirks)
    return [event.usage for event in events if isinstance(event, UsageReport)]


def test_no_usage_is_no_report() -> None:
    assert reported() == reported({"choices": [], "usage": None}) == []


def test_a_running_count_is_billed_once() -> None:
    assert reported({"usage": {**USAGE, "completion_tokens": 1}}, {"usage": USAGE}) == [
        Usage(input_tokens=5, output_tokens=2)
    ]


def test_details_of_usage() -> None:
    full = {
        **USAGE,
        "prompt_tokens_details": {"cached_tokens": 3},
        "completion_tokens_details": {"reasoning_tokens": 1},
        "cost": 0.25,
    }
    whole = Usage(input_tokens=5, output_tokens=2, cached_tokens=3, reasoning_tokens=1)
    assert reported({"usage": full}) == [whole]
    (with_cost,) = reported({"usage": full}, quirks=Quirks(reports_cost=True))
    assert with_cost.cost == 0.25
    assert reported({"usage": {**USAGE, "prompt_cache_hit_tokens": 4}})[0].cached_tokens == 4
    assert reported({"x_groq": {"usage": USAGE}}) == [Usage(input_tokens=5, output_tokens=2)]


@pytest.mark.parametrize("junk", [None, "5", -1, [], {}, 1e300, 10**14, True])
def test_counts_that_are_none_are_zero(junk: Any) -> None:
    usage = {"prompt_tokens": junk, "prompt_tokens_details": junk, "completion_tokens": 2, "cost": junk}
    (found,) = reported({"usage": usage})
    assert found.output_tokens == 2
    assert found.input_tokens in {0, 1}


def test_what_a_failed_answer_cost_is_told() -> None:
    events = decode(HELLO + sse({"usage": USAGE}))
    assert [type(event) for event in events[-2:]] == [UsageReport, Error]


# --- tool calls ---------------------------------------------------------------------------------------------------

TRAPS: dict[str, tuple[list[dict[str, Any]], list[tuple[str, str]]]] = {
    "as documented": (
        [
            tools(piece("f", "", index=0, id="a")),
            tools(piece(arguments='{"x"', index=0)),
            tools(piece(arguments=":1}", index=0)),
        ],
        [("f", '{"x":1}')],
    ),
    "interleaved": (
        [
            tools(piece("f", "", index=0, id="a"), piece("g", "", index=1, id="b")),
            tools(piece(arguments="{", index=1), piece(arguments="[", index=0)),
            tools(piece(arguments="]", index=0)),
            tools(piece(arguments="}", index=1)),
        ],
        [("f", "[]"), ("g", "{}")],
    ),
    "name twice": ([tools(piece("f", "{", index=0, id="a")), tools(piece("f", "}", index=0, id="a"))], [("f", "{}")]),
    "name twice before arguments": (
        [tools(piece("f", index=0)), tools(piece("f", index=0)), tools(piece(arguments="{}", index=0))],
        [("f", "{}")],
    ),
    "name in pieces": (
        [
            tools(piece("get_", index=0, id="a")),
            tools(piece("weather", "", index=0)),
            tools(piece(arguments="{}", index=0)),
        ],
        [("get_weather", "{}")],
    ),
    "name growing": (
        [tools(piece("get_", index=0)), tools(piece("get_weather", "{}", index=0))],
        [("get_weather", "{}")],
    ),
    "name behind the arguments": (
        [tools(piece(None, '{"x":', index=0)), tools(piece("f", "1}", index=0))],
        [("f", '{"x":1}')],
    ),
    "no arguments": ([tools(piece("f", index=0, id="a"))], [("f", "{}")]),
    "blank arguments": ([tools(piece("f", " \n", index=0, id="a"))], [("f", "{}")]),
    "arguments as an object": ([tools(piece("f", {"x": "ä"}, index=0, id="a"))], [("f", '{"x":"ä"}')]),
    "no id": ([tools(piece("f", "{}", index=0)), tools(piece("g", "{}", index=1))], [("f", "{}"), ("g", "{}")]),
    "id zero": (
        [tools(piece("f", "{}", index=0, id="0"), piece("g", "{}", index=1, id="0"))],
        [("f", "{}"), ("g", "{}")],
    ),
    "id doubled": (
        [tools(piece("f", "{}", index=0, id="a"), piece("g", "{}", index=1, id="a"))],
        [("f", "{}"), ("g", "{}")],
    ),
    "id a number": ([tools(piece("f", "{}", index=0, id=7))], [("f", "{}")]),
    "id new in every piece": (
        [
            tools(piece("f", "", index=0, id="a")),
            tools(piece(arguments="{", index=0, id="b")),
            tools(piece(arguments="}", index=0, id="c")),
        ],
        [("f", "{}")],
    ),
    "no index, ids": (
        [
            tools(piece("f", "{", id="a")),
            tools(piece("g", "[", id="b")),
            tools(piece(arguments="}", id="a")),
            tools(piece(arguments="]", id="b")),
        ],
        [("f", "{}"), ("g", "[]")],
    ),
    "no index, no id, together": (
        [tools(piece("f"), piece("g"), piece("f", "{}"))],
        [("f", "{}"), ("g", "{}"), ("f", "{}")],
    ),
    "no index, no id, one by one": (
        [tools(piece("f", '{"a":')), tools(piece(arguments="1}")), tools(piece("g", "{}"))],
        [("f", '{"a":1}'), ("g", "{}")],
    ),
    "index always 0": (
        [tools(piece("f", '{"a":1}', index=0, id="a")), tools(piece("f", '{"a":2}', index=0, id="b"))],
        [("f", '{"a":1}'), ("f", '{"a":2}')],
    ),
    "index always 0, no id": (
        [tools(piece("f", '{"a":1}', index=0)), tools(piece("f", '{"a":2}', index=0))],
        [("f", '{"a":1}'), ("f", '{"a":2}')],
    ),
    "index from 1, backwards": (
        [tools(piece("f", "{}", index=9)), tools(piece("g", "[]", index=4))],
        [("f", "{}"), ("g", "[]")],
    ),
    "empty entry": (
        [tools(piece("f", "{}", index=0, id="a")), tools({"index": 1}), tools({"index": 2, "function": None})],
        [("f", "{}")],
    ),
}


@pytest.mark.parametrize("trap", TRAPS)
@pytest.mark.parametrize("reason", ["stop", "tool_calls", "function_call", None])
def test_calls_come_out_whole(trap: str, reason: str | None) -> None:
    chunks, expected = TRAPS[trap]
    events = decode(sse(*chunks, delta(finish=reason)) + DONE)
    assert brief(events) == expected
    assert events[-1] == Finish("tool_calls")


def test_made_ids_are_stable_and_differ_between_rounds() -> None:
    def ids(request: bytes) -> list[str]:
        decoder = OpenAIChatDecoder(Failures("acme"), Quirks(), request)
        return [call.id for call in calls(decoder.feed(sse(tools(piece("f", index=0), piece("f", index=1))) + DONE))]

    assert ids(b"1") == ids(b"1")
    assert not set(ids(b"1")) & set(ids(b"2"))


def test_given_ids_are_kept() -> None:
    assert [call.id for call in calls(decode(sse(tools(piece("f", index=0, id="call_a"))) + DONE))] == ["call_a"]


def test_a_call_starts_as_soon_as_its_arguments_do() -> None:
    decoder = OpenAIChatDecoder(Failures("acme"), Quirks(), b"request")
    assert decoder.feed(sse(tools(piece("f", index=0, id="a")))) == []
    assert decoder.feed(sse(tools(piece(arguments="{", index=0)))) == [
        ToolCallStart(0, "a", "f"),
        ToolCallDelta(0, "{"),
    ]


def test_arguments_with_characters_cut_between_chunks() -> None:
    data = sse(tools(piece("f", '"FIRST', index=0)), tools(piece(arguments='SECOND"', index=0)))
    data = data.replace(b"FIRST", b"\xf0\x9f").replace(b"SECOND", b"\x98\x80")
    assert brief(decode(data + DONE)) == [("f", '"😀"')]


def test_a_cut_call_never_ends() -> None:
    events = decode(sse(tools(piece("f", '{"x', index=0, id="a"))))
    assert calls(events) == []
    assert error(events).kind == "interrupted"


def test_a_call_cut_by_the_length_is_told_as_such() -> None:
    events = decode(sse(tools(piece("f", '{"x', index=0, id="a")), delta(finish="length")) + DONE)
    assert brief(events) == [("f", '{"x')]
    assert events[-1] == Finish("length")


def test_a_call_without_a_name_is_no_call() -> None:
    assert error(decode(sse(tools(piece(None, "{}", index=0, id="a"))) + DONE)).kind == "protocol"


def test_calls_have_a_bound() -> None:
    events = decode(sse(*[tools(piece("f", "{}", index=index)) for index in range(1000)]) + DONE)
    assert error(events).kind == "protocol"
    assert len(events) < 1000


def test_an_id_is_no_way_around_that() -> None:
    assert error(decode(sse(tools(piece("f", "{}", index=0, id="i" * 300_000))) + DONE)).kind == "protocol"


def test_pieces_that_may_each_be_the_last_are_not_all_looked_at() -> None:
    opened = tools(piece("f", '{"a":"', index=0))
    closing = [tools(*[piece("f", "}", index=0)] * 4_000)] * 10
    began = process_time()
    (call,) = calls(decode(sse(opened, *closing, tools(piece("f", '"}', index=0))) + DONE))
    assert process_time() - began < 8  # looking at each of them joins 40,000 pieces as often
    assert json.loads(call.arguments) == {"a": "}" * 40_000}


# --- errors inside the answer, and garbage ------------------------------------------------------------------------

BUSY = {"error": {"message": "Overloaded", "type": "overloaded_error", "code": 529}}


@pytest.mark.parametrize(
    "data",
    [
        json.dumps(BUSY).encode(),
        json.dumps([BUSY], indent=2).encode(),
        b"\xef\xbb\xbf \r\n" + json.dumps(BUSY).encode() + b"\n",
        b'{"object": "error", "message": "Overloaded", "code": 503}',
        sse(BUSY),
        sse({**BUSY, "choices": [{"delta": {"content": ""}, "finish_reason": "error"}]}),
        b"event: error\ndata: " + json.dumps(BUSY["error"]).encode() + b"\n\n",
    ],
)
def test_an_error_with_status_200(data: bytes) -> None:
    (only,) = decode(data)
    assert isinstance(only, Error)
    assert (only.kind, only.retryable) == ("overload", True)


def test_an_error_in_the_middle_keeps_the_text() -> None:
    events = decode(HELLO + sse(BUSY) + STOP + DONE)
    assert text(events) == "Hello"
    assert error(events).kind == "overload"
    assert [type(event) for event in events].count(Error) == 1


def test_an_error_inside_of_an_answer_may_say_when_to_come_back() -> None:
    (only,) = OpenAIChatDecoder(Failures("acme"), Quirks(), b"request", wait=7.0).feed(
        sse({"error": {"code": 429, "message": "slow"}})
    )
    assert isinstance(only, Error)
    assert (only.kind, only.retry_after) == ("rate", 7.0)


def test_an_answer_that_is_not_streamed() -> None:
    message = {
        "role": "assistant",
        "content": "Hello",
        "reasoning_content": "hm",
        "tool_calls": [piece("f", "{}", id="a"), piece("g")],
    }
    body = {"choices": [{"index": 0, "message": message, "finish_reason": "stop"}], "usage": USAGE}
    events = decode(json.dumps(body, indent=1).encode())
    assert events[:2] == [ReasoningDelta("hm"), TextDelta("Hello")]
    assert brief(events) == [("f", "{}"), ("g", "{}")]
    assert events[-2:] == [UsageReport(Usage(input_tokens=5, output_tokens=2)), Finish("tool_calls")]


@pytest.mark.parametrize(
    "data",
    [
        b"<!DOCTYPE html><html>sign in</html>",
        b'{"choices": [{"mess',
        b"{}",
        b"[]",
        b'{"choices": 5}',
        b'{"choices": [{"delta": 5}]}',
        b"data: " + b"[" * 100_000 + b"\n\n",
        b"data: {" + b'"a":[' * 100_000 + b"\n\n",
        b'data: {"choices": [{"index": [], "delta": "x"}]}\n\n',
        b'data: {"choices": [{"delta": {"content": "\xff}}]}\n\n',
        b"data: hello\n\n",
        b"data: \x00\x01\n\n",
        b"data: {not json}\n\n",
        DONE,
    ],
)
def test_garbage(data: bytes) -> None:
    (only,) = decode(data)
    assert isinstance(only, Error)
    assert only.kind == "protocol"
    assert not only.retryable


def test_text_before_garbage_is_kept() -> None:
    events = decode(HELLO + b"data: {not json}\n\n" + STOP + DONE)
    assert text(events) == "Hello"
    assert error(events).kind == "protocol"


def test_an_endless_line_ends_the_answer() -> None:
    decoder = OpenAIChatDecoder(Failures("acme"), Quirks(), b"request")
    events = decoder.feed(HELLO)
    for _ in range(40):
        events += decoder.feed(b"data: " + b"x" * 65_536)
    assert decoder.done
    assert text(events) == "Hello"
    assert error(events).kind == "protocol"


def test_an_endless_body_ends_the_answer() -> None:
    decoder = OpenAIChatDecoder(Failures("acme"), Quirks(), b"request")
    decoder.feed(b'{"x": "')
    for _ in range(300):
        decoder.feed(b"x" * 65_536)
    assert decoder.done
    assert decoder._body is not None
    assert len(decoder._body) < 9 << 20


def test_an_endless_answer_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answer, "LONGEST_ANSWER", 10_000)
    assert error(decode(HELLO * 100, [1000, 5000, 9000])).kind == "protocol"


# --- any chunking gives the same events ---------------------------------------------------------------------------

_json = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 600) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["choices", "delta", "message", "content", "tool_calls", "function", "name", "id", "index", "error"]
            ),
            inner,
        )
    ),
    max_leaves=15,
)
_pieces = st.builds(
    piece,
    st.sampled_from([None, "f", "get_", "weather", ""]),
    st.sampled_from([None, "", "{", "}", '{"a":1}', {"a": 1}, "ä", "😀"]),
    index=st.sampled_from([None, 0, 1, 2, "0"]),
    id=st.sampled_from([None, "", "0", "a", "b"]),
)
_chunks = st.one_of(
    st.builds(lambda value: delta(content=value), st.text(max_size=8) | st.none()),
    st.builds(lambda value: delta(reasoning=value), st.text(max_size=8)),
    st.builds(lambda value: delta(tool_calls=value), st.lists(_pieces, max_size=3)),
    st.builds(lambda value: delta(finish=value), st.sampled_from(["stop", "length", "content_filter", "error", None])),
    st.just({"choices": [], "usage": USAGE}),
    st.just(BUSY),
    _json,
)
_blocks = st.one_of(
    st.builds(lambda chunk: json.dumps(chunk, ensure_ascii=False).encode("utf-8", "replace"), _chunks).map(
        lambda data: b"data: " + data
    ),
    st.builds(lambda chunk: b"data:" + json.dumps(chunk).encode(), _chunks),
    st.sampled_from(
        [b": ping", b"event: error", b"data: [DONE]", b"", b"data:", b"\xef\xbb\xbf", b"\xff", b"<html>", b"{"]
    ),
)
_streams = st.builds(
    lambda blocks, eol: b"".join(block + eol + eol for block in blocks),
    st.lists(_blocks, max_size=12),
    st.sampled_from([b"\n", b"\r\n", b"\r"]),
)
_bodies = st.builds(lambda value: json.dumps(value).encode(), _json)
RECORDED = [HELLO + STOP + sse({"usage": USAGE}) + DONE, HELLO + sse(BUSY)] + [
    sse(*trap) + DONE for trap, _ in TRAPS.values()
]


@settings(max_examples=400, deadline=None)
@given(
    st.one_of(_streams, _bodies, st.sampled_from(RECORDED)), st.lists(st.integers(0, 5000), max_size=20), st.booleans()
)
def test_any_chunking_gives_the_same_events(data: bytes, cuts: list[int], end: bool) -> None:
    whole = decode(data, end=end)
    assert decode(data, cuts, end=end) == whole
    assert [type(event) for event in whole if isinstance(event, Finish | Error)] == [type(whole[-1])]
    calls(whole)


@pytest.mark.parametrize("data", RECORDED)
def test_byte_by_byte_gives_the_same_events(data: bytes) -> None:
    assert decode(data, list(range(len(data)))) == decode(data)
    assert decode(data.replace(b"\n", b"\r\n"), list(range(len(data) * 2))) == decode(data)


@given(st.binary(max_size=200), st.lists(st.integers(0, 200), max_size=5))
def test_any_bytes_are_taken(data: bytes, cuts: list[int]) -> None:
    assert decode(data, cuts) == decode(data)


@pytest.mark.parametrize("more", [{"arguments": "a" * 1000}, {"name": "n" * 1000}])
def test_calls_without_an_end_are_not_kept(more: dict[str, str]) -> None:
    events = decode(sse(tools(piece("clock", "{", index=0, id="a")), *[tools(piece(**more, index=0))] * 1000))
    assert error(events).kind == "protocol"
    assert sum(len(event.arguments) for event in events if isinstance(event, ToolCallDelta)) < 300_000


def test_arguments_deeper_than_a_parser_goes_are_handed_over_as_they_are() -> None:
    deep = "[" * 100_000 + "}"
    assert calls(decode(sse(tools(piece("a", deep, index=0)), tools(piece("b", "{}", index=0))) + DONE))
