"""The same bytes through our codecs and through pydantic-ai's: the same text, reasoning, calls and usage.

What is recorded is what the vendors' documentation shows and what the demo server sends.
"""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import msgspec
import pytest
from aiohttp import web
from pydantic import SecretStr

from antiphon.providers.anthropic import AnthropicProvider
from antiphon.providers.base import (
    ChatMessage,
    Event,
    Finish,
    ModelRequest,
    ReasoningDelta,
    TextDelta,
    ToolCallEnd,
    UsageReport,
)
from antiphon.providers.config import ProviderSettings
from antiphon.providers.demo.engine import perform
from antiphon.providers.demo.server import WIRES
from antiphon.providers.demo.wire.base import Asked
from antiphon.providers.google import GoogleProvider
from antiphon.providers.http import HttpProvider
from antiphon.providers.openai import OpenAIProvider
from antiphon.providers.pydantic_ai import PydanticAIProvider

Serve = Callable[[bytes], Awaitable[str]]
OURS: dict[str, tuple[type[HttpProvider], dict[str, Any], str]] = {
    "openai-chat": (OpenAIProvider, {"api": "chat"}, "/v1/chat/completions"),
    "openai-responses": (OpenAIProvider, {"api": "responses"}, "/v1/responses"),
    "anthropic": (AnthropicProvider, {}, "/v1/messages"),
    "google": (GoogleProvider, {}, "/v1beta/models/{model}:{method}"),
}
"""pydantic-ai's name of a protocol: who speaks it here, and its path."""

SAID = (
    "!echo Grüße 世界",
    "!reason !echo x",
    "!long 200",
    '!tool weather {"city": "Oslo"} !tool sums {"a": [1, {"b": null}]}',
    "!reason What is the weather in Oslo?",
    "!filter !long 6",
)


@pytest.fixture
async def serve(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Serve]:
    """Answers every request with these bytes, and leads pydantic-ai there."""
    runners: list[web.AppRunner] = []

    async def start(body: bytes) -> str:
        async def answer(_: web.Request) -> web.Response:
            return web.Response(body=body, content_type="text/event-stream")

        app = web.Application()
        app.router.add_route("POST", "/{path:.*}", answer)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        runners.append(runner)
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        root = f"http://127.0.0.1:{runner.addresses[0][1]}"
        for name, url in (("OPENAI", f"{root}/v1"), ("ANTHROPIC", root)):
            monkeypatch.setenv(f"{name}_API_KEY", "k")
            monkeypatch.setenv(f"{name}_BASE_URL", url)
        monkeypatch.setenv("GOOGLE_API_KEY", "k")
        monkeypatch.setenv("GOOGLE_GEMINI_BASE_URL", root)
        return root

    yield start
    for runner in runners:
        await runner.cleanup()


async def _both(serve: Serve, protocol: str, body: bytes) -> tuple[Any, Any]:
    """What ours tells, and what pydantic-ai does."""
    root = await serve(body)
    kind, settings, _ = OURS[protocol]
    url = root + {"anthropic": "", "google": "/v1beta"}.get(protocol, "/v1")
    ours = kind("ours", ProviderSettings.model_validate({"base_url": url, "api_key": SecretStr("k"), **settings}))
    theirs = PydanticAIProvider("theirs", ProviderSettings())
    try:
        asked = (ChatMessage(role="user", text="hi"),)
        return (
            _told([event async for event in ours.stream(ModelRequest(model="m", messages=asked))]),
            _told([event async for event in theirs.stream(ModelRequest(model=f"{protocol}:m", messages=asked))]),
        )
    finally:
        await ours.stop()
        await theirs.stop()


def _told(events: list[Event]) -> Any:
    last, usage = events[-1], next(event.usage for event in events if isinstance(event, UsageReport))
    calls = [event.call for event in events if isinstance(event, ToolCallEnd)]
    return {
        "text": "".join(event.text for event in events if isinstance(event, TextDelta)),
        "reasoning": "".join(event.text for event in events if isinstance(event, ReasoningDelta)),
        "calls": [(call.id, call.name, msgspec.json.decode(call.arguments)) for call in calls],
        "tokens": (usage.input_tokens, usage.output_tokens, usage.cached_tokens),
        "end": last.reason if isinstance(last, Finish) else last,
    }


@pytest.mark.parametrize("protocol", OURS)
@pytest.mark.parametrize("text", SAID)
async def test_the_demo_model_is_understood_alike(serve: Serve, protocol: str, text: str) -> None:
    request = ModelRequest(model="m", messages=(ChatMessage(role="user", text=text),))
    wire = next(wire for wire in WIRES if OURS[protocol][2] in wire.manner.asks)
    encoder = wire.encoder(Asked(request=request, stream=True))
    body = encoder.first() + b"".join(map(encoder.encode, perform(request).events))
    ours, theirs = await _both(serve, protocol, body)
    assert ours == theirs
    assert ours["text"] or ours["calls"]


def _sse(*documents: Any, named: bool = False) -> bytes:
    events = [f"event: {each['type']}\n" if named else "" for each in documents]
    return "".join(f"{name}data: {json.dumps(each)}\n\n" for name, each in zip(events, documents, strict=True)).encode()


def _chunk(finish: str | None = None, **delta: Any) -> dict[str, Any]:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]}


def _piece(index: int, arguments: str, **fields: Any) -> dict[str, Any]:
    name = fields.pop("name", None)
    function = {"arguments": arguments} | ({"name": name} if name else {})
    return {"index": index, "function": function, **fields}


BILL = {"prompt_tokens": 9, "completion_tokens": 5, "total_tokens": 14, "prompt_tokens_details": {"cached_tokens": 4}}
CHAT = (
    _sse(
        _chunk(role="assistant", content=""),
        _chunk(content="Let me "),
        _chunk(content="look."),
        _chunk(tool_calls=[_piece(0, "", id="call_a", type="function", name="weather")]),
        _chunk(tool_calls=[_piece(0, '{"city":')]),
        _chunk(tool_calls=[_piece(1, "", id="call_b", type="function", name="clock")]),
        _chunk(tool_calls=[_piece(0, ' "Oslo"}')]),
        _chunk(tool_calls=[_piece(1, '{"zone": "UTC"}')]),
        _chunk("tool_calls"),
        {**_chunk(), "choices": [], "usage": BILL},
    )
    + b"data: [DONE]\n\n"
)


async def test_interleaved_calls_of_chat_are_understood_alike(serve: Serve) -> None:
    ours, theirs = await _both(serve, "openai-chat", CHAT)
    assert ours == theirs
    assert ours["calls"] == [("call_a", "weather", {"city": "Oslo"}), ("call_b", "clock", {"zone": "UTC"})]
    assert ours["tokens"] == (9, 5, 4)


TEXT = {"type": "output_text", "text": "", "annotations": []}
MESSAGE = {"id": "msg_1", "type": "message", "status": "in_progress", "role": "assistant", "content": []}
RESPONSE = {
    "id": "resp_1", "object": "response", "created_at": 1, "model": "m", "status": "in_progress", "output": [],
    "error": None, "incomplete_details": None, "usage": None, "parallel_tool_calls": True, "tool_choice": "auto",
    "tools": [],
}  # fmt: skip
COST = {
    "input_tokens": 36, "input_tokens_details": {"cached_tokens": 8}, "output_tokens": 3,
    "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": 39,
}  # fmt: skip


def _at(kind: str, **fields: Any) -> dict[str, Any]:
    return {"type": f"response.{kind}", "output_index": 0, "item_id": "msg_1", "content_index": 0, **fields}


CUT_SHORT = _sse(
    {"type": "response.created", "response": RESPONSE},
    _at("output_item.added", item=MESSAGE),
    _at("content_part.added", part=TEXT),
    _at("output_text.delta", delta="Hi", logprobs=[]),
    _at("output_text.delta", delta=" there", logprobs=[]),
    {
        "type": "response.incomplete",
        "response": {
            **RESPONSE,
            "status": "incomplete",
            "incomplete_details": {"reason": "max_output_tokens"},
            "usage": COST,
        },
    },
    named=True,
)


async def test_an_incomplete_response_is_understood_alike(serve: Serve) -> None:
    ours, theirs = await _both(serve, "openai-responses", CUT_SHORT)
    assert ours == theirs
    assert (ours["text"], ours["end"], ours["tokens"]) == ("Hi there", "length", (36, 3, 8))


def _candidate(*parts: dict[str, Any], **fields: Any) -> dict[str, Any]:
    candidate = {"content": {"role": "model", "parts": list(parts)}, "index": 0, **fields}
    return {"candidates": [candidate], "modelVersion": "m", "responseId": "r"}


def _wish(name: str, arguments: Any, **fields: Any) -> dict[str, Any]:
    return {"functionCall": {"id": f"call_{name}", "name": name, "args": arguments}, **fields}


SIGNED = _sse(
    _candidate({"text": "Two things", "thought": True}),
    _candidate({"text": " to look up.", "thought": True}),
    _candidate({"text": "Let me look."}),
    _candidate(_wish("weather", {"city": "Oslo"}, thoughtSignature="c2lnbmVk"), _wish("clock", {})),
    _candidate({"text": ""}, finishReason="STOP")
    | {
        "usageMetadata": {
            "promptTokenCount": 20,
            "cachedContentTokenCount": 8,
            "candidatesTokenCount": 7,
            "thoughtsTokenCount": 5,
            "totalTokenCount": 32,
        }
    },
)


async def test_signed_calls_of_google_are_understood_alike(serve: Serve) -> None:
    ours, theirs = await _both(serve, "google", SIGNED)
    assert ours == theirs
    assert [name for _, name, _ in ours["calls"]] == ["weather", "clock"]
    assert (ours["reasoning"], ours["text"]) == ("Two things to look up.", "Let me look.")
    assert ours["tokens"] == (20, 12, 8)
