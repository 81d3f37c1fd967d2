"""What every wire protocol must do, tried over HTTP against the demo server and on bytes at any chunking.

A new protocol needs one line in `PROVIDERS`; that none is forgotten is a test too.
"""

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from antiphon.assistants.assistant import Assistant
from antiphon.assistants.run import Ended, Run
from antiphon.domain import ReasoningPart, ToolPart
from antiphon.errors import ProviderError
from antiphon.providers import protocols
from antiphon.providers.anthropic import AnthropicProvider
from antiphon.providers.base import (
    DEMO,
    ChatMessage,
    Error,
    Event,
    Finish,
    ModelInfo,
    ModelRequest,
    OutputSchema,
    Provider,
    ReasoningDelta,
    TextDelta,
    ToolCall,
    ToolCallDelta,
    ToolCallEnd,
    ToolCallStart,
    ToolSpec,
    UsageReport,
)
from antiphon.providers.compatible import CompatibleProvider
from antiphon.providers.config import ProviderSettings
from antiphon.providers.demo.engine import perform
from antiphon.providers.demo.provider import DemoProvider
from antiphon.providers.demo.server import WIRES, DemoServer
from antiphon.providers.demo.wire.base import Asked, Wire
from antiphon.providers.failures import Failures
from antiphon.providers.google import GoogleProvider
from antiphon.providers.http import HttpProvider
from antiphon.providers.ollama import OllamaProvider
from antiphon.providers.protocols.openai_responses.codec import OpenAIResponses
from antiphon.tools.base import ToolContext, tool


class _Responses(HttpProvider):
    codec = OpenAIResponses()


PROVIDERS: dict[str, tuple[type[HttpProvider], str]] = {
    "openai_chat": (CompatibleProvider, "/v1"),
    "openai_responses": (_Responses, "/v1"),
    "anthropic": (AnthropicProvider, ""),
    "google": (GoogleProvider, "/v1beta"),
    "ollama": (OllamaProvider, "/v1"),
}
"""Protocol: a provider that speaks it, and the path of its base URL."""

WITHOUT_THINKING = {"ollama"}
"""Protocols that do not tell thinking apart when they count."""

KEY = "k3y-never-shown"
WEATHER = ToolSpec(
    name="weather",
    description="The weather of a city.",
    parameters={"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
)


@pytest.fixture(params=PROVIDERS)
def protocol(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
async def server() -> AsyncIterator[DemoServer]:
    running = DemoServer(api_key=KEY)
    await running.start()
    yield running
    await running.stop()


@pytest.fixture
async def provider(server: DemoServer, protocol: str) -> AsyncIterator[HttpProvider]:
    made = _provider(server, protocol)
    yield made
    await made.stop()


def _provider(server: DemoServer, protocol: str, key: str = KEY) -> HttpProvider:
    kind, path = PROVIDERS[protocol]
    return kind("vendor", ProviderSettings(base_url=server.root + path, api_key=SecretStr(key)))


def _request(text: str, *messages: ChatMessage, **fields: Any) -> ModelRequest:
    asked = ChatMessage(role="user", text=text)
    return ModelRequest(model=DEMO, messages=(asked, *messages), tools=(WEATHER,), **fields)


async def _listen(provider: Provider, text: str) -> list[Event]:
    """All events, after a look at what every stream promises."""
    events = [event async for event in provider.stream(_request(text))]
    assert [at for at, event in enumerate(events) if isinstance(event, Finish | Error)] == [len(events) - 1]
    return events


def _error(events: list[Event]) -> Error:
    last = events[-1]
    assert isinstance(last, Error)
    assert KEY not in last.message + last.public
    return last


def _told(events: list[Event]) -> tuple[str, str, list[tuple[str, Any]], tuple[int, int, int] | None, str]:
    """What a stream says: text, reasoning, calls, usage in tokens, and how it ends."""
    last = events[-1]
    assert isinstance(last, Finish | Error)
    usage = next((event.usage for event in events if isinstance(event, UsageReport)), None)
    return (
        "".join(event.text for event in events if isinstance(event, TextDelta)),
        "".join(event.text for event in events if isinstance(event, ReasoningDelta)),
        [(e.call.name, msgspec.json.decode(e.call.arguments)) for e in events if isinstance(e, ToolCallEnd)],
        (usage.input_tokens, usage.output_tokens, usage.reasoning_tokens) if usage else None,
        last.reason if isinstance(last, Finish) else last.kind,
    )


def test_every_protocol_is_here() -> None:
    folder = Path(protocols.__file__).parent
    assert {path.parent.name for path in folder.glob("*/codec.py")} == set(PROVIDERS)
    assert len(WIRES) == len(PROVIDERS)


# --- answers ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "hi", "What is the weather in Oslo?", "!echo Grüße 世界 \"quoted\" \\ \t tab", "!reason !echo x", "!long 3000",
        '!tool weather {"city": "Oslo"} !tool b {"x": [1, {"y": null}]}', "!filter !long 6", "!cut 2 !long 9",
        "!error 2 !long 9", "!error 0 !long 9", "!401", "!410", "!429", "!500", "!503", "!quota", "!overload",
        "!garbage", "!split 7 !reason !echo Grüße 世界", '!split !tool weather {"city": "Tromsø"}',
    ],
)  # fmt: skip
async def test_it_tells_the_same_as_the_model_in_process(provider: HttpProvider, protocol: str, text: str) -> None:
    *said, usage, ending = _told(await _listen(DemoProvider(), text))
    if usage is not None and protocol in WITHOUT_THINKING:
        usage = (*usage[:2], 0)
    assert _told(await _listen(provider, text)) == (*said, usage, ending)


async def test_an_answer_has_the_form_that_was_asked_for(provider: HttpProvider) -> None:
    field = {"type": "object", "properties": {"city": {"type": "string"}, "days": {"type": "integer"}}}
    form = {**field, "required": ["city", "days"], "additionalProperties": False}
    asked = ModelRequest(
        model=DEMO,
        messages=(ChatMessage(role="user", text="Plan 3 days in Oslo."),),
        output=OutputSchema(name="plan", schema=form),
    )
    text = "".join([event.text async for event in provider.stream(asked) if isinstance(event, TextDelta)])
    assert msgspec.json.decode(text) == {"city": "Oslo", "days": 3}


async def test_calls_without_ids_get_some(provider: HttpProvider) -> None:
    events = await _listen(provider, "!noids !tool weather {} !tool weather {}")
    started = [event.id for event in events if isinstance(event, ToolCallStart)]
    ended = [event.call.id for event in events if isinstance(event, ToolCallEnd)]
    assert started == ended
    assert len(set(started)) == 2
    assert all(started)


async def test_an_answer_that_is_empty_is_none_that_failed(provider: HttpProvider) -> None:
    assert _told(await _listen(provider, "!echo"))[-1] == "stop"


async def test_models_are_listed(provider: HttpProvider) -> None:
    assert await provider.models() == (ModelInfo(id=DEMO),)


@tool
def weather(city: str) -> str:
    """The weather of a city."""
    return f"Rain in {city}."


async def test_a_turn_with_a_tool_gives_back_what_the_vendor_signed(provider: HttpProvider) -> None:
    """The demo server refuses thoughts and calls that do not come back as they were."""
    context = ToolContext(person_id="p", conversation_id="c", turn_id="t", message_id="m", assistant="guide")
    asked = (ChatMessage(role="user", text="!reason What is the weather in Oslo?"),)
    ended = await _run(Run(Assistant("guide", tools=[weather]), provider, DEMO, asked, context))
    assert (ended.status, ended.reason) == ("answered", None)
    assert "Rain in Oslo." in ended.text
    kinds = [type(part) for part in ended.parts]
    assert kinds.index(ReasoningPart) < kinds.index(ToolPart)


async def _run(run: Run) -> Ended:
    async with aclosing(run.events()) as events:
        last = [event async for event in events][-1]
    assert isinstance(last, Ended)
    return last


# --- failures -----------------------------------------------------------------------------------------------------


async def test_the_three_kinds_of_429_are_told_apart(provider: HttpProvider) -> None:
    rate, quota, overload = [_error(await _listen(provider, text)) for text in ("!429", "!quota", "!overload")]
    assert (rate.kind, rate.retryable, rate.retry_after) == ("rate", True, 1.0)
    assert (quota.kind, quota.retryable) == ("quota", False)
    assert (overload.kind, overload.retryable) == ("overload", True)


async def test_a_wrong_key_is_refused(server: DemoServer, protocol: str) -> None:
    stranger = _provider(server, protocol, key="wrong")
    try:
        assert _error(await _listen(stranger, "hi")).kind == "auth"
        with pytest.raises(ProviderError) as caught:
            await stranger.models()
        assert caught.value.kind == "auth"
    finally:
        await stranger.stop()


async def test_an_unknown_model_is_invalid(provider: HttpProvider) -> None:
    request = msgspec.structs.replace(_request("hi"), model="nobody")
    error = _error([event async for event in provider.stream(request)])
    assert error.kind == "invalid"
    assert "does not know this model" in error.public


async def test_what_was_said_before_a_cut_is_kept(provider: HttpProvider) -> None:
    events = await _listen(provider, "!cut 3 !long 50")
    assert "".join(event.text for event in events if isinstance(event, TextDelta)).split() == ["Every", "word", "of"]
    assert (_error(events).kind, _error(events).retryable) == ("interrupted", False)


@pytest.mark.parametrize("after", [0, 1, 60, 150, 400, 700, 1000, 1400, 100_000])
async def test_a_connection_may_break_at_any_byte(provider: HttpProvider, after: int) -> None:
    events = await _listen(provider, f"!sever {after} !reason !echo one two three")
    assert "one two three".startswith(_said(events))
    if after == 100_000:
        assert events[-1] == Finish("stop")
    elif isinstance(events[-1], Error):
        assert _error(events).kind == "interrupted"


@pytest.mark.parametrize("text", ["!hang", "!slow 60000 !long 9"])
async def test_closing_a_stream_frees_its_connection_at_once(
    server: DemoServer, provider: HttpProvider, text: str
) -> None:
    async def listen() -> None:
        await _listen(provider, text)

    task = asyncio.create_task(listen())
    while not server.active:
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    async with asyncio.timeout(5):
        while server.active:
            await asyncio.sleep(0.001)


# --- bytes --------------------------------------------------------------------------------------------------------

_BY_TEXT = ["hi", "!reason What is the weather in Oslo?", '!tool a {"x": "ü"} !tool b {}', "!error 3 !long 9"]


def _wire(protocol: str) -> Wire:
    codec = PROVIDERS[protocol][0].codec
    path = "/" + codec.path(_request("x")).partition("?")[0]
    return next(wire for wire in WIRES if any(_ends(asked, path) for asked in wire.manner.asks))


def _ends(pattern: str, path: str) -> bool:
    return pattern.endswith(path) or (pattern.split("{", maxsplit=1)[0].endswith("/models/") and ":" in path)


def _recorded(protocol: str, text: str) -> bytes:
    """The stream of bytes that the demo server answers with."""
    request = _request(text)
    encoder = _wire(protocol).encoder(Asked(request=request, stream=True))
    return encoder.first() + b"".join(map(encoder.encode, perform(request).events))


def _decoded(protocol: str, pieces: list[bytes], *, cut: bool = False) -> list[Event]:
    codec = PROVIDERS[protocol][0].codec
    decoder = codec.decoder(Failures("vendor"), codec.encode(_request("hi")), wait=None)
    events = [event for piece in pieces for event in decoder.feed(piece)]
    events += decoder.cut() if cut else decoder.end()
    assert decoder.done
    assert decoder.feed(b"data: {}\n\n") == decoder.end() == decoder.cut() == []
    assert [at for at, event in enumerate(events) if isinstance(event, Finish | Error)] == [len(events) - 1]
    return events


def _joined(events: list[Event]) -> list[Event]:
    """Neighbouring pieces of text made one."""
    joined: list[Event] = []
    for event in events:
        last = joined[-1] if joined else None
        match last, event:
            case TextDelta(a), TextDelta(b):
                joined[-1] = TextDelta(a + b)
            case ReasoningDelta(a, None), ReasoningDelta(b, None):
                joined[-1] = ReasoningDelta(a + b)
            case ToolCallDelta(index, a), ToolCallDelta(same, b) if index == same:
                joined[-1] = ToolCallDelta(index, a + b)
            case _:
                joined.append(event)
    return joined


@pytest.mark.parametrize("name", PROVIDERS)
@pytest.mark.parametrize("text", _BY_TEXT)
@given(cuts=st.lists(st.integers(0, 1 << 16), max_size=12))
@settings(max_examples=25, deadline=None)
def test_any_chunking_gives_the_same_events(name: str, text: str, cuts: list[int]) -> None:
    data = _recorded(name, text)
    edges = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    pieces = [data[start:stop] for start, stop in itertools.pairwise(edges)]
    assert _joined(_decoded(name, pieces)) == _joined(_decoded(name, [data]))


@pytest.mark.parametrize("text", [*_BY_TEXT, "!filter !long 6", "!echo"])
def test_an_answer_that_does_not_stream_tells_the_same(protocol: str, text: str) -> None:
    request = _request(text)
    whole = _wire(protocol).whole(Asked(request=request, stream=False), perform(request).events)
    *said, usage, ending = _told(_decoded(protocol, [whole]))
    *streamed, cost, end = _told(_decoded(protocol, [_recorded(protocol, text)]))
    if end == "server":  # an error leaves nothing of what was said before it
        assert (ending, usage) == (end, None)
    else:
        assert (*said, usage, ending) == (*streamed, cost, end)


@pytest.mark.parametrize("text", _BY_TEXT)
def test_a_cut_at_any_byte_is_one_end(protocol: str, text: str) -> None:
    data = _recorded(protocol, text)
    whole = _decoded(protocol, [data])
    for at in range(0, len(data), 3):
        events = _decoded(protocol, [data[:at]], cut=True)
        assert _said(whole).startswith(_said(events))
        if isinstance(events[-1], Finish):
            assert events[-1] == whole[-1]


def test_silence_behind_the_end_is_no_failure(protocol: str) -> None:
    """A vendor that has said how its answer ends, and then nothing, not even that."""
    data = _recorded(protocol, "!echo one two")
    whole = _decoded(protocol, [data])
    codec = PROVIDERS[protocol][0].codec
    ends = set()
    for at in range(len(data) + 1):
        decoder = codec.decoder(Failures("vendor"), codec.encode(_request("hi")), wait=None)
        events = decoder.feed(data[:at])
        events += decoder.fail(Failures("vendor").of("timeout", "silence"))
        ends.add(type(events[-1]))
        if isinstance(events[-1], Finish):
            assert _said(events) == _said(whole)
    assert ends == {Finish, Error}


def _said(events: list[Event]) -> str:
    return "".join(event.text for event in events if isinstance(event, TextDelta))


@pytest.mark.parametrize("name", PROVIDERS)
@given(junk=st.binary(max_size=200), at=st.integers(0, 1 << 16))
@settings(max_examples=50, deadline=None)
def test_garbage_anywhere_is_one_end(name: str, junk: bytes, at: int) -> None:
    data = _recorded(name, "!reason What is the weather in Oslo?")
    place = at % (len(data) + 1)
    _decoded(name, [data[:place], junk, data[place:]])


_leaf = st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=5)
_branch = _leaf | st.lists(_leaf, max_size=3) | st.dictionaries(st.text(max_size=8), _leaf, max_size=3)
_json = _branch | st.lists(_branch, max_size=3) | st.dictionaries(st.text(max_size=8), _branch, max_size=3)


@pytest.mark.parametrize("name", PROVIDERS)
@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_a_document_of_any_form_is_one_end(name: str, data: st.DataObject) -> None:
    """One field of a real stream holds something else than it should."""
    lines = _recorded(name, "!reason What is the weather in Oslo?").splitlines(keepends=True)
    places = [at for at, line in enumerate(lines) if b"{" in line]
    place = data.draw(st.sampled_from(places))
    prefix, brace, document = lines[place].partition(b"{")
    mutated = _mutated(msgspec.json.decode(brace + document), data)
    lines[place] = prefix + msgspec.json.encode(mutated) + b"\n"
    _decoded(name, [b"".join(lines)])


def _mutated(value: Any, data: st.DataObject) -> Any:
    if isinstance(value, dict) and value and data.draw(st.integers(0, 3)):
        field = data.draw(st.sampled_from(sorted(value)))
        return {**value, field: _mutated(value[field], data)}
    if isinstance(value, list) and value and data.draw(st.integers(0, 3)):
        return [_mutated(value[0], data), *value[1:]]
    return data.draw(_json)


# --- requests -----------------------------------------------------------------------------------------------------

_CALL = ToolCall(id="c1", name="weather", arguments='{"city": "Oslo"}')


def test_what_another_vendor_signed_is_not_sent(protocol: str) -> None:
    codec = PROVIDERS[protocol][0].codec
    for opaque in ({"nobody": ["secret"]}, ["secret"], "secret"):
        said = ChatMessage(role="assistant", text="Rain.", calls=(_CALL,), opaque=opaque)
        result = ChatMessage(role="tool", text="Rain.", call_id="c1", name="weather")
        plain = msgspec.structs.replace(said, opaque=None)
        assert codec.encode(_request("hi", said, result)) == codec.encode(_request("hi", plain, result))


@pytest.mark.parametrize("arguments", ['{"zone": "U', "", "[1]", "null", "[" * 100_000])
def test_invalid_arguments_of_the_past_do_not_spoil_the_conversation(protocol: str, arguments: str) -> None:
    call = ToolCall(id="c1", name="weather", arguments=arguments)
    result = ChatMessage(role="tool", text="Error: no", call_id="c1", name="weather")
    body = PROVIDERS[protocol][0].codec.encode(_request("hi", ChatMessage(role="assistant", calls=(call,)), result))
    read = _wire(protocol).read(body, {"model": DEMO, "method": "streamGenerateContent"})
    calls = [call for message in read.request.messages for call in message.calls]
    assert [msgspec.json.decode(call.arguments) for call in calls] == [{"invalid": arguments}]


def test_the_server_reads_what_was_asked(protocol: str) -> None:
    history = (
        ChatMessage(role="assistant", text="Looking.", calls=(_CALL,)),
        ChatMessage(role="tool", text="Rain.", call_id="c1", name="weather"),
        ChatMessage(role="assistant", text="It rains."),
        ChatMessage(role="user", text="And now?"),
    )
    request = _request("hi", *history, max_tokens=77, temperature=0.5, seed=7, stop=("END", "\n\nQ:"))
    request = msgspec.structs.replace(
        request, messages=(ChatMessage(role="system", text="Be brief."), *request.messages)
    )
    asked = _wire(protocol).read(
        PROVIDERS[protocol][0].codec.encode(request), {"model": DEMO, "method": "streamGenerateContent"}
    )
    assert asked.stream
    read = asked.request
    assert (read.model, read.max_tokens, read.temperature, read.tools) == (DEMO, 77, 0.5, (WEATHER,))
    assert _spoken(read) == _spoken(request)
    # OpenAI's responses know neither; Anthropic knows no seed.
    assert read.stop == (() if protocol == "openai_responses" else request.stop)
    assert read.seed == (None if protocol in {"openai_responses", "anthropic"} else 7)


def test_the_server_reads_a_top_p(protocol: str) -> None:
    payload = PROVIDERS[protocol][0].codec.encode(_request("hi", top_p=0.25))
    asked = _wire(protocol).read(payload, {"model": DEMO, "method": "streamGenerateContent"})
    assert asked.request.top_p == 0.25


def _spoken(request: ModelRequest) -> list[tuple[str, str, int]]:
    return [(message.role, message.text, len(message.calls)) for message in request.messages]


@pytest.mark.parametrize("bad", ["\ud83d", "a\udc80b"])
async def test_text_that_is_no_text_is_refused_before_it_is_sent(provider: HttpProvider, bad: str) -> None:
    assert _error([event async for event in provider.stream(_request(bad))]).kind == "invalid"
