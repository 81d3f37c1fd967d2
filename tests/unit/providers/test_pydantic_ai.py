"""The bridge over real HTTP: pydantic-ai's models ask the demo server, which speaks their vendors' protocols."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing

import pytest

from antiphon.assistants.assistant import Assistant
from antiphon.assistants.run import Ended, Run
from antiphon.domain import ReasoningPart, ToolPart
from antiphon.errors import ConfigError, ProviderError
from antiphon.providers.base import (
    DEMO,
    ChatMessage,
    Error,
    Event,
    File,
    Finish,
    ModelRequest,
    OutputSchema,
    Provider,
    TextDelta,
    ToolName,
    ToolSpec,
)
from antiphon.providers.config import ProviderSettings, ProvidersSettings, Timeouts
from antiphon.providers.demo.server import DemoServer
from antiphon.providers.pydantic_ai import PydanticAIProvider
from antiphon.providers.registry import ProviderRegistry
from antiphon.tools.base import ToolContext, tool

MODELS = ("openai-chat:demo", "openai-responses:demo", "anthropic:demo")
WEATHER = ToolSpec(name="weather", description="The weather.", parameters={"type": "object", "properties": {}})


@pytest.fixture
async def server(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[DemoServer]:
    running = DemoServer()
    await running.start()
    monkeypatch.setenv("OPENAI_API_KEY", "k3y")
    monkeypatch.setenv("OPENAI_BASE_URL", running.url)
    monkeypatch.setenv("ANTHROPIC_API_KEY", "k3y")
    monkeypatch.setenv("ANTHROPIC_BASE_URL", running.root)
    yield running
    await running.stop()


@pytest.fixture
async def bridge(server: DemoServer) -> AsyncIterator[PydanticAIProvider]:
    made = PydanticAIProvider("pydantic-ai", ProviderSettings())
    yield made
    await made.stop()


def _request(text: str, model: str = MODELS[0], **fields: object) -> ModelRequest:
    return ModelRequest(model=model, messages=(ChatMessage(role="user", text=text),), **fields)  # type: ignore[arg-type]


async def _listen(provider: Provider, request: ModelRequest) -> list[Event]:
    events = [event async for event in provider.stream(request)]
    assert [at for at, event in enumerate(events) if isinstance(event, Finish | Error)] == [len(events) - 1]
    return events


def _text(events: list[Event]) -> str:
    return "".join(event.text for event in events if isinstance(event, TextDelta))


def _error(events: list[Event]) -> Error:
    last = events[-1]
    assert isinstance(last, Error)
    assert "k3y" not in last.message + last.public
    return last


@pytest.mark.parametrize("model", MODELS)
async def test_a_model_of_pydantic_ai_is_a_model(bridge: PydanticAIProvider, model: str) -> None:
    assert isinstance(bridge, Provider)
    events = await _listen(bridge, _request("!echo Grüße 世界", model))
    assert (_text(events), events[-1]) == ("Grüße 世界", Finish("stop"))


@tool
def weather(city: str) -> str:
    """The weather of a city."""
    return f"Rain in {city}."


@pytest.mark.parametrize("model", MODELS)
async def test_a_turn_with_a_tool_gives_back_what_the_vendor_signed(bridge: PydanticAIProvider, model: str) -> None:
    context = ToolContext(person_id="p", conversation_id="c", turn_id="t", message_id="m", assistant="guide")
    asked = (ChatMessage(role="user", text="!reason What is the weather in Oslo?"),)
    run = Run(Assistant("guide", tools=[weather]), bridge, model, asked, context)
    async with aclosing(run.events()) as events:
        ended = [event async for event in events][-1]
    assert isinstance(ended, Ended)
    assert (ended.status, ended.reason) == ("answered", None)
    assert "Rain in Oslo." in ended.text
    kinds = [type(part) for part in ended.parts]
    assert kinds.index(ReasoningPart) < kinds.index(ToolPart)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize(
    ("directive", "kind", "retryable"),
    [
        ("!401", "auth", False),
        ("!429", "rate", True),
        ("!quota", "quota", False),
        ("!overload", "overload", True),
        ("!500", "server", True),
        ("!cut 3 !long 9", "interrupted", False),
    ],
)
async def test_failures_are_told_as_anywhere(
    bridge: PydanticAIProvider, model: str, directive: str, kind: str, retryable: bool
) -> None:
    found = _error(await _listen(bridge, _request(directive, model)))
    assert (found.kind, found.retryable) == (kind, retryable)


async def test_a_filter_ends_an_answer(bridge: PydanticAIProvider) -> None:
    assert (await _listen(bridge, _request("!filter !long 6")))[-1] == Finish("filtered")


@pytest.mark.parametrize(
    ("model", "kind"), [("nobody:m", "auth"), ("m", "auth"), ("openai-chat:nobody", "invalid"), ("cohere:m", "invalid")]
)
async def test_a_model_that_is_not_there_is_an_error(bridge: PydanticAIProvider, model: str, kind: str) -> None:
    assert _error(await _listen(bridge, _request("hi", model))).kind == kind


async def test_nobody_listens(free_port: int, server: DemoServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", f"http://127.0.0.1:{free_port}/v1")
    bridge = PydanticAIProvider("pydantic-ai", ProviderSettings())
    assert (_error(await _listen(bridge, _request("hi"))).kind, server.active) == ("unreachable", 0)
    await bridge.stop()


@pytest.mark.parametrize(
    ("text", "timeouts"), [("!hang", Timeouts(first_byte=0.3)), ("!slow 60000 !long 9", Timeouts(between=0.3))]
)
async def test_silence_ends(server: DemoServer, text: str, timeouts: Timeouts) -> None:
    bridge = PydanticAIProvider("pydantic-ai", ProviderSettings(timeouts=timeouts))
    assert _error(await _listen(bridge, _request(text))).kind == "timeout"
    async with asyncio.timeout(5):
        while server.active:
            await asyncio.sleep(0.001)
    await bridge.stop()


async def test_closing_and_stopping_free_the_connection(server: DemoServer) -> None:
    bridge = PydanticAIProvider("pydantic-ai", ProviderSettings())
    for stop in (False, True):
        stream = bridge.stream(_request("!slow 100 !long 500"))
        assert isinstance(await anext(stream), TextDelta)
        if stop:
            await bridge.stop()
            assert _error([event async for event in stream]).kind == "interrupted"
        await stream.aclose()
        async with asyncio.timeout(5):
            while server.active:
                await asyncio.sleep(0.001)
    assert _error(await _listen(bridge, _request("hi"))).kind == "interrupted"


async def test_everything_a_request_may_hold_is_taken(bridge: PydanticAIProvider) -> None:
    files = (
        File(name="a.png", media_type="image/png", data=b"\x89PNG\r\n\x1a\n"),
        File(name="b.png", media_type="image/png", url="https://pictures.example/b.png"),
    )
    messages = (
        ChatMessage(role="system", text="Be brief."),
        ChatMessage(role="user", text="!echo yes", files=files),
    )
    request = ModelRequest(
        model=MODELS[0],
        messages=messages,
        tools=(WEATHER,),
        tool_choice=ToolName("weather"),
        temperature=0.5,
        max_tokens=50,
        output=OutputSchema(name="bill", schema={"type": "object"}),
    )
    assert _text(await _listen(bridge, request)) == "yes"


async def test_it_is_found_by_its_name_and_lists_nothing(server: DemoServer) -> None:
    registry = ProviderRegistry(ProvidersSettings(), environ={}, plugged=())
    provider, model = registry.resolve("pydantic-ai:openai-chat:demo")
    assert _text(await _listen(provider, _request("!echo yes", model))) == "yes"
    with pytest.raises(ProviderError):
        await provider.models()
    await registry.stop()
    assert model != DEMO


@pytest.mark.parametrize("section", [{"base_url": "http://127.0.0.1:9"}, {"api_key": "k"}, {"body": {"a": 1}}])
def test_a_setting_that_it_would_not_obey_is_refused(section: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match=rf"providers\.pydantic-ai\.{next(iter(section))} means nothing"):
        PydanticAIProvider("pydantic-ai", ProviderSettings.model_validate(section))
