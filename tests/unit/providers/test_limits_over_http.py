"""A provider in front of the demo server, which counts requests and refuses what is beyond, over real HTTP."""

import asyncio
import time
from collections import Counter

import pytest

from antiphon.providers.anthropic import AnthropicProvider
from antiphon.providers.base import ChatMessage, Error, File, Finish, ModelRequest, RateReport, Remark
from antiphon.providers.compatible import CompatibleProvider
from antiphon.providers.config import ProvidersSettings
from antiphon.providers.counting import LimitManner
from antiphon.providers.demo.limiting import DemoLimit
from antiphon.providers.demo.server import DemoServer
from antiphon.providers.http import HttpProvider
from antiphon.providers.limits import Limits
from antiphon.providers.registry import ProviderRegistry
from antiphon.providers.reliability import Reliable
from antiphon.providers.taking import Taking
from antiphon.runtime.config import ServiceSettings
from antiphon.telemetry.metrics import Metrics

REQUEST = ModelRequest(model="demo", messages=(ChatMessage(role="user", text="!echo hi"),))
ONCE = ServiceSettings(retry_attempts=1)


async def ending(provider: Reliable) -> str:
    events = [event async for event in provider.stream(REQUEST)]
    assert isinstance(events[-1], Finish | Error)
    return events[-1].kind if isinstance(events[-1], Error) else events[-1].reason


def made(server: DemoServer, vendor: type[HttpProvider], manner: LimitManner, **section: object) -> Reliable:
    settings = ProvidersSettings.model_validate({"acme": {"base_url": server.url, "api_key": "k", **section}})
    acme = settings.named("acme")
    assert acme is not None
    return Reliable(vendor("acme", acme), ONCE, limits=Limits("acme", acme, manner, metrics=Metrics()))


@pytest.mark.parametrize(
    ("vendor", "refills"), [(CompatibleProvider, False), (CompatibleProvider, True), (AnthropicProvider, False)]
)
async def test_nothing_is_refused_once_a_vendor_has_told_its_limit(vendor: type[HttpProvider], refills: bool) -> None:
    server = DemoServer(limit=DemoLimit(12, seconds=2.0, refills=refills))
    await server.start()
    provider = made(server, vendor, LimitManner(refills=refills))
    try:
        began = time.monotonic()
        assert await ending(provider) == "stop"
        assert Counter(await asyncio.gather(*(ending(provider) for _ in range(23)))) == {"stop": 23}
        assert 1.0 < time.monotonic() - began < 8
    finally:
        await provider.stop()
        await server.stop()


async def test_a_long_wait_is_given_up_at_once_so_that_another_model_answers() -> None:
    server, other = DemoServer(limit=DemoLimit(1, seconds=60)), DemoServer()
    await server.start()
    await other.start()
    registry = ProviderRegistry(
        ProvidersSettings.model_validate({"tight": {"base_url": server.url}, "wide": {"base_url": other.url}}),
        environ={},
        services=ONCE,
    )
    try:
        asked, path = [], []
        for _ in range(2):
            chain = registry.chain(("tight:demo", "wide:demo"))
            began = time.monotonic()
            assert isinstance([event async for event in chain.stream(REQUEST)][-1], Finish)
            assert time.monotonic() - began < 5
            asked.append(chain.answering.name)
            path += chain.path
        assert asked == ["tight:demo", "wide:demo"]
        assert path[0][0] == "tight:demo"
        assert "too many requests" in path[0][1]
        wait = registry.exhausted("tight:demo")
        assert wait is not None
        assert 30 < wait <= 62
        assert registry.exhausted("wide:demo") is registry.exhausted("never:asked") is None
        assert [*registry.all_exhausted()] == ["tight:demo"]
        assert registry.resting("tight") is None, "it did not fail"
    finally:
        await registry.stop()
        await server.stop()
        await other.stop()


async def test_a_refusal_without_a_time_is_read_from_the_limits_that_come_with_it() -> None:
    server = DemoServer(limit=DemoLimit(1, seconds=60))
    await server.start()
    # Two processes with one key: the second learns by being refused.
    first, second = made(server, CompatibleProvider, LimitManner()), made(server, CompatibleProvider, LimitManner())
    try:
        assert await ending(first) == "stop"
        assert await ending(second) == "rate"
        assert second.limits.wait("demo") is not None
    finally:
        await first.stop()
        await second.stop()
        await server.stop()


async def test_who_stops_reading_gives_the_place_back() -> None:
    server = DemoServer(rate=5)
    await server.start()
    provider = made(server, CompatibleProvider, LimitManner(), concurrency=1, longest_wait=5)
    try:
        slow = provider.stream(ModelRequest(model="demo", messages=(ChatMessage(role="user", text="!long 500"),)))
        await anext(slow)
        waiting = asyncio.ensure_future(ending(provider))
        done, _ = await asyncio.wait({waiting}, timeout=0.05)
        assert not done
        await slow.aclose()
        assert await waiting == "stop"
        gone = asyncio.ensure_future(ending(provider))
        await asyncio.sleep(0)
        gone.cancel()
        with pytest.raises(asyncio.CancelledError):
            await gone
        assert await ending(provider) == "stop"
    finally:
        await provider.stop()
        await server.stop()


async def test_what_is_said_about_files_comes_behind_the_limits() -> None:
    server = DemoServer(limit=DemoLimit(1, seconds=60))
    await server.start()
    provider = made(server, CompatibleProvider, LimitManner())
    taking = Reliable(Taking(provider._provider), ONCE, limits=provider.limits)
    film = File(name="film.mp4", media_type="video/mp4", data=b"x")
    try:
        message = ChatMessage(role="user", text="!echo hi", files=(film,))
        events = [event async for event in taking.stream(ModelRequest(model="demo", messages=(message,)))]
        assert isinstance(events[0], Remark)
        assert not any(isinstance(event, RateReport) for event in events)
        assert taking.limits.wait("demo") is not None
    finally:
        await provider.stop()
        await server.stop()
