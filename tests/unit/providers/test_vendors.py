"""What each vendor is sent, over HTTP: its path, its headers, and the fields in which it differs from the others."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, cast

import pytest
from msgspec.structs import replace
from pydantic import SecretStr

from antiphon.errors import ConfigError
from antiphon.providers.azure import AzureProvider
from antiphon.providers.base import (
    ChatMessage,
    Event,
    Finish,
    ModelInfo,
    ModelRequest,
    OutputSchema,
    TextDelta,
    ToolCall,
    ToolSpec,
)
from antiphon.providers.compatible import CompatibleProvider, LlamaCppProvider, LMStudioProvider, VllmProvider
from antiphon.providers.config import ProviderSettings
from antiphon.providers.github import GitHubModelsClient
from antiphon.providers.http import HttpProvider
from antiphon.providers.ollama import OllamaProvider
from antiphon.providers.openai import OpenAIProvider
from antiphon.providers.openrouter import OpenRouterProvider
from antiphon.providers.vendors import (
    DeepSeekProvider,
    FireworksProvider,
    GroqProvider,
    MistralProvider,
    TogetherProvider,
    XAIProvider,
)

Start = Callable[..., Awaitable[Any]]
KEY = "k3y"
CALL = ToolCall(id="call_of_another_vendor", name="clock", arguments="{}")
REQUEST = ModelRequest(
    model="m",
    messages=(
        ChatMessage(role="system", text="Be brief."),
        ChatMessage(role="user", text="hi", keep=True),
        ChatMessage(role="assistant", text="Hm.", calls=(CALL,), reasoning="hm"),
        ChatMessage(role="tool", text="12:00", call_id=CALL.id, name="clock"),
    ),
    max_tokens=7,
    effort="low",
    output=OutputSchema(name="bill", schema={"type": "object"}),
    cache_key="c1",
)
SCHEMA = {"type": "json_schema", "json_schema": {"name": "bill", "schema": {"type": "object"}}}
OBJECT = {"type": "json_object"}
USAGE = {"stream_options": {"include_usage": True}}
NEW = {"max_completion_tokens": 7, "reasoning_effort": "low", "response_format": SCHEMA, **USAGE}
OLD = {"max_tokens": 7, "reasoning_effort": "low", "response_format": SCHEMA, **USAGE}
KEYED = {"prompt_cache_key": "c1"}
RESPONSES = {
    "store": False,
    "max_output_tokens": 7,
    "reasoning": {"effort": "low", "summary": "auto"},
    "include": ["reasoning.encrypted_content"],
    "text": {"format": {"type": "json_schema", "name": "bill", "schema": {"type": "object"}, "strict": False}},
    **KEYED,
}
BRIEF = RESPONSES | {"reasoning": {"effort": "low"}}
OLLAMA = {"think": True, "format": {"type": "object"}, "options": {"num_ctx": 8192, "num_predict": 7}}
BEARER, API_KEY = ("Authorization", f"Bearer {KEY}"), ("api-key", KEY)
ANSWERS = {
    "chat": b'data: {"choices":[{"delta":{"content":"Yes"},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n',
    "responses": b'data: {"type":"response.output_text.delta","delta":"Yes"}\n\n'
    b'data: {"type":"response.completed","response":{}}\n\n',
    "ollama": b'{"message":{"content":"Yes"},"done":true,"done_reason":"stop"}\n',
}
OF_CHAT, OF_RESPONSES = {"api": "chat"}, {"api": "responses"}
AZURE_OLD = {"api_version": "2024-10-21"}
NO_KEY = {key: value for key, value in (NEW | KEYED).items() if key != "prompt_cache_key"}

ROWS: dict[str, tuple[type[HttpProvider], dict[str, Any], str, tuple[str, str], dict[str, Any]]] = {
    "openai": (OpenAIProvider, {}, "/v1/chat/completions", BEARER, NEW | KEYED),
    "openai responses": (OpenAIProvider, OF_RESPONSES, "/v1/responses", BEARER, RESPONSES),
    "openrouter": (
        OpenRouterProvider,
        {},
        "/v1/chat/completions",
        BEARER,
        {"max_tokens": 7, "reasoning": {"effort": "low"}, "response_format": SCHEMA, "usage": {"include": True}}
        | USAGE
        | KEYED,
    ),
    "azure": (AzureProvider, {}, "/openai/v1/chat/completions", API_KEY, NEW | KEYED),
    "azure preview": (
        AzureProvider,
        {"api_version": "preview"},
        "/openai/v1/chat/completions?api-version=preview",
        API_KEY,
        NEW | KEYED,
    ),
    "azure dated": (
        AzureProvider,
        AZURE_OLD,
        "/openai/deployments/m/chat/completions?api-version=2024-10-21",
        API_KEY,
        NO_KEY,
    ),
    "azure responses": (AzureProvider, OF_RESPONSES, "/openai/v1/responses", API_KEY, RESPONSES),
    "azure dated responses": (
        AzureProvider,
        OF_RESPONSES | AZURE_OLD,
        "/openai/responses?api-version=2024-10-21",
        API_KEY,
        RESPONSES,
    ),
    "groq": (GroqProvider, {}, "/v1/chat/completions", BEARER, NEW | {"response_format": OBJECT}),
    "mistral": (
        MistralProvider,
        {},
        "/v1/chat/completions",
        BEARER,
        {"max_tokens": 7, "reasoning_effort": "none", "response_format": SCHEMA} | KEYED,
    ),
    "deepseek": (DeepSeekProvider, {}, "/v1/chat/completions", BEARER, OLD | {"response_format": OBJECT}),
    "xai": (XAIProvider, {}, "/v1/chat/completions", BEARER, NEW),
    "xai responses": (XAIProvider, OF_RESPONSES, "/v1/responses", BEARER, BRIEF),
    "together": (TogetherProvider, {}, "/v1/chat/completions", BEARER, OLD),
    "fireworks": (FireworksProvider, {}, "/v1/chat/completions", BEARER, OLD | {"user": "c1"}),
    "github": (GitHubModelsClient, {}, "/v1/chat/completions", BEARER, OLD),
    "llamacpp": (LlamaCppProvider, {}, "/v1/chat/completions", BEARER, OLD),
    "lmstudio": (LMStudioProvider, {}, "/v1/chat/completions", BEARER, OLD),
    "vllm": (VllmProvider, OF_RESPONSES, "/v1/responses", BEARER, RESPONSES),
    "office": (CompatibleProvider, OF_CHAT, "/v1/chat/completions", BEARER, OLD),
    "ollama": (OllamaProvider, {}, "/api/chat", BEARER, OLLAMA),
}


@pytest.fixture
async def ask(raw_vendor: Start) -> AsyncIterator[Callable[..., Awaitable[tuple[Any, str, dict[str, str], Any]]]]:
    """Sends a request to a vendor and gives events, path, headers and body."""
    made: list[HttpProvider] = []

    async def send(
        name: str, kind: type[HttpProvider], settings: dict[str, Any], request: ModelRequest = REQUEST
    ) -> tuple[list[Event], str, dict[str, str], Any]:
        protocol = "ollama" if kind is OllamaProvider else settings.get("api", "chat")
        vendor = await raw_vendor(_whole(ANSWERS[protocol]))
        url = vendor.url.removesuffix("/v1") if kind is AzureProvider else vendor.url
        section = ProviderSettings.model_validate({"base_url": url, "api_key": SecretStr(KEY), **settings})
        made.append(kind(name.split(maxsplit=1)[0], section))
        events = [event async for event in made[-1].stream(request)]
        head, body = vendor.requests[0]
        first, *lines = head.decode().strip().split("\r\n")
        headers = dict(cast("list[tuple[str, str]]", [line.split(": ", 1) for line in lines]))
        return events, first.split()[1], headers, json.loads(body)

    yield send
    for provider in made:
        await provider.stop()


def _whole(body: bytes) -> Callable[[Any], Awaitable[None]]:
    async def answer(writer: Any) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        await writer.drain()

    return answer


@pytest.mark.parametrize("name", ROWS)
async def test_a_vendor_is_sent_what_it_takes(name: str, ask: Callable[..., Awaitable[Any]]) -> None:
    kind, settings, path, (header, value), fields = ROWS[name]
    events, asked, headers, body = await ask(name, kind, settings)
    assert [event for event in events if isinstance(event, TextDelta | Finish)] == [TextDelta("Yes"), Finish("stop")]
    assert asked == path
    assert headers[header] == value
    assert [other for other in ("Authorization", "api-key") if other in headers] == [header]
    said = {"model", "messages", "input", "stream", "tools"}
    assert {field: body[field] for field in body if field not in said} == fields
    assert (body["model"], body["stream"]) == ("m", True)


def test_every_vendor_that_is_built_in_has_a_row() -> None:
    here = {kind for kind, *_ in ROWS.values()}
    assert here == {CompatibleProvider, OllamaProvider, *_rows(CompatibleProvider)}


def _rows(kind: type[HttpProvider]) -> set[type[HttpProvider]]:
    return {row for row in kind.__subclasses__() if row.__module__.startswith("antiphon.providers.")}


async def test_only_a_vendor_who_misses_reasoning_gets_it_back(ask: Callable[..., Awaitable[Any]]) -> None:
    back = {}
    for kind in _rows(CompatibleProvider):
        _, _, _, body = await ask("x", kind, OF_CHAT)
        answer = next(message for message in body["messages"] if message["role"] == "assistant")
        back[kind] = answer.get("reasoning_content")
    assert {kind for kind, text in back.items() if text} == {DeepSeekProvider, FireworksProvider}


async def test_mistral_is_strict_about_ids_and_order(ask: Callable[..., Awaitable[Any]]) -> None:
    request = replace(REQUEST, messages=(*REQUEST.messages, ChatMessage(role="user", text="Stop.")))
    _, _, _, body = await ask("mistral", MistralProvider, {}, request)
    _, _, called, result, answered, _ = body["messages"]
    assert called["tool_calls"][0]["id"] == result["tool_call_id"]
    assert len(result["tool_call_id"]) == 9
    assert answered["role"] == "assistant"


async def test_groq_is_told_the_form_in_words_beside_tools(ask: Callable[..., Awaitable[Any]]) -> None:
    tool = ToolSpec(name="clock", description="The time.", parameters={"type": "object"})
    _, _, _, body = await ask("groq", GroqProvider, {}, replace(REQUEST, tools=(tool,)))
    assert "response_format" not in body
    assert "JSON Schema" in body["messages"][0]["content"]


async def test_openrouter_is_asked_to_keep_where_it_must_be_asked(ask: Callable[..., Awaitable[Any]]) -> None:
    for model, marked in (("anthropic/claude-sonnet-5", True), ("google/gemini-3-pro", True), ("openai/gpt-5", False)):
        _, _, _, body = await ask("openrouter", OpenRouterProvider, {}, replace(REQUEST, model=model))
        assert ("cache_control" in str(body["messages"][1])) is marked


@pytest.mark.parametrize(
    ("kind", "path"), [(OpenAIProvider, "responses"), (XAIProvider, "responses"), (GroqProvider, "chat/completions")]
)
def test_at_its_own_address_a_vendor_speaks_what_it_speaks_best(kind: type[CompatibleProvider], path: str) -> None:
    assert kind("x", ProviderSettings()).codec.path(REQUEST) == path
    assert kind("x", ProviderSettings(base_url=kind.default_url)).codec.path(REQUEST) == path
    assert kind("x", ProviderSettings(base_url="https://gate.example/v1")).codec.path(REQUEST) == "chat/completions"
    assert kind("x", ProviderSettings(api="chat")).codec.path(REQUEST) == "chat/completions"
    assert kind("x", ProviderSettings(api="responses")).codec.path(REQUEST) == "responses"


async def test_what_one_address_has_sealed_goes_to_no_other(ask: Callable[..., Awaitable[Any]]) -> None:
    reasoning = {"type": "reasoning", "summary": [], "encrypted_content": "gAAA"}
    opaque = {"openai_responses": [{"maker": "xai:grok-4.3", "item": reasoning}]}
    request = ModelRequest(model="grok-4.3", messages=(ChatMessage(role="assistant", text="Hm.", opaque=opaque),))
    for kind, name, items in ((XAIProvider, "xai", 2), (CompatibleProvider, "gate", 1)):
        _, _, _, body = await ask(name, kind, OF_RESPONSES, request)
        assert len(body["input"]) == items


@pytest.mark.parametrize(
    ("kind", "section", "setting"),
    [
        (OllamaProvider, {"api": "chat"}, "api"),
        (OllamaProvider, {"api_version": "preview"}, "api_version"),
        (OpenAIProvider, {"api_version": "preview"}, "api_version"),
    ],
)
def test_a_setting_that_a_vendor_does_not_have_is_refused(
    kind: type[HttpProvider], section: dict[str, Any], setting: str
) -> None:
    with pytest.raises(ConfigError, match=rf"providers\.mine\.{setting} is set"):
        kind("mine", ProviderSettings.model_validate(section))


async def test_fields_of_the_settings_are_in_every_request(ask: Callable[..., Awaitable[Any]]) -> None:
    fields = {"keep_alive": "30m", "options": {"num_ctx": 32_768, "top_k": 20}, "think": {"odd": True}}
    _, _, _, body = await ask("ollama", OllamaProvider, {"body": fields})
    assert body["keep_alive"] == "30m"
    assert body["options"] == {"num_ctx": 32_768, "num_predict": 7, "top_k": 20}
    assert body["think"] == {"odd": True}
    assert [message["role"] for message in body["messages"]] == ["system", "user", "assistant", "tool"]


@pytest.mark.parametrize(
    ("kind", "settings", "path", "listing"),
    [
        (OllamaProvider, {}, "/api/tags", {"models": [{"name": "a"}]}),
        (AzureProvider, {}, "/openai/v1/models", {"data": [{"id": "a"}]}),
        (AzureProvider, AZURE_OLD, "/openai/models?api-version=2024-10-21", {"data": [{"id": "a"}]}),
        (AzureProvider, OF_RESPONSES, "/openai/v1/models", {"data": [{"id": "a"}]}),
        (TogetherProvider, {}, "/v1/models", [{"id": "a"}]),
        (XAIProvider, OF_RESPONSES, "/v1/models", {"data": [{"id": "a"}]}),
    ],
)
async def test_models(
    kind: type[HttpProvider], settings: dict[str, Any], path: str, listing: Any, raw_vendor: Start
) -> None:
    vendor = await raw_vendor(_whole(json.dumps(listing).encode()))
    url = vendor.url.removesuffix("/v1") if kind is AzureProvider else vendor.url
    provider = kind("x", ProviderSettings.model_validate({"base_url": url, **settings}))
    assert await provider.models() == (ModelInfo(id="a"),)
    assert vendor.requests[0][0].startswith(f"GET {path} ".encode())
    await provider.stop()
