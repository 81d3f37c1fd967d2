"""The same request in process and through our own client over HTTP: the same answer, the same kind of failure."""

from collections.abc import AsyncIterator

import pytest

from antiphon.providers.base import (
    ChatMessage,
    Error,
    Event,
    Finish,
    ModelRequest,
    Provider,
    ReasoningDelta,
    TextDelta,
    ToolCallEnd,
    ToolSpec,
    UsageReport,
)
from antiphon.providers.compatible import CompatibleProvider
from antiphon.providers.config import ProviderSettings
from antiphon.providers.demo.provider import DemoProvider
from antiphon.providers.demo.server import DemoServer

WEATHER = ToolSpec(
    name="weather",
    description="The weather of a city.",
    parameters={"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
)


@pytest.fixture
async def remote(server: DemoServer) -> AsyncIterator[CompatibleProvider]:
    provider = CompatibleProvider("far", ProviderSettings(base_url=server.url))
    yield provider
    await provider.stop()


async def _events(provider: Provider, text: str) -> list[Event]:
    request = ModelRequest(model="demo", messages=(ChatMessage(role="user", text=text),), tools=(WEATHER,))
    return [event async for event in provider.stream(request)]


def _told(events: list[Event]) -> tuple[str, str, list[str], tuple[int, int, int] | None, str]:
    """What a stream says: text, reasoning, calls, usage in tokens, and how it ends."""
    last = events[-1]
    assert isinstance(last, Finish | Error)
    usage = next((event.usage for event in events if isinstance(event, UsageReport)), None)
    return (
        "".join(event.text for event in events if isinstance(event, TextDelta)),
        "".join(event.text for event in events if isinstance(event, ReasoningDelta)),
        [
            f"{event.call.id} {event.call.name} {event.call.arguments}"
            for event in events
            if isinstance(event, ToolCallEnd)
        ],
        (usage.input_tokens, usage.output_tokens, usage.reasoning_tokens) if usage else None,
        last.reason if isinstance(last, Finish) else last.kind,
    )


@pytest.mark.parametrize(
    "text",
    [
        "hi", "What is the weather in Oslo?", "!echo Grüße 世界 \"quoted\" \\ \t tab", "!reason !echo x", "!long 3000",
        '!tool weather {"city": "Oslo"} !tool b {broken', "!filter !long 6", "!cut 2 !long 9", "!error 2 !long 9",
        "!401", "!410", "!429", "!500", "!503", "!quota", "!overload",
        "!garbage", "!echo", "!split 3 !reason !long 9", '!split !tool weather {"city": "Oslo"}',
    ],
)  # fmt: skip
async def test_both_ways_tell_the_same(remote: CompatibleProvider, text: str) -> None:
    assert _told(await _events(remote, text)) == _told(await _events(DemoProvider(), text))
