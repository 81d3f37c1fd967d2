"""A vendor whose limit is used up is not asked: another model answers, or the answer comes when it may."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable

import aiohttp
import pytest

from antiphon.providers.demo.limiting import DemoLimit
from antiphon.providers.demo.server import DemoServer
from tests.flows.conftest import KEY, Serving, over_http
from tests.flows.test_fallback import two_vendors, why
from tests.serving import Visitors

Tight = Callable[[int, float], Awaitable[DemoServer]]


@pytest.fixture
async def tight() -> AsyncIterator[Tight]:
    """Starts a vendor that lets so many requests in within so many seconds."""
    started: list[DemoServer] = []

    async def start(requests: int, seconds: float) -> DemoServer:
        server = DemoServer(api_key=KEY, limit=DemoLimit(requests, seconds))
        await server.start()
        started.append(server)
        return server

    yield start
    for server in started:
        await server.stop()


async def metrics(url: str) -> str:
    async with aiohttp.ClientSession() as session, session.get(f"{url}/metrics") as response:
        return await response.text()


async def test_another_model_answers_while_a_limit_is_used_up_and_it_is_shown(
    house: Serving, vendor: DemoServer, visitors: Visitors, tight: Tight
) -> None:
    first = await tight(1, 600)
    async with house(**two_vendors(first.url, vendor.url)) as workspace:
        visitor = await visitors.enter(workspace.url)
        answer = await visitor.ask("!echo one")
        assert (answer["text"], answer["end"]["model"]) == ("one", "openai:demo")
        began = time.monotonic()
        answer = await visitor.ask("!echo two")
        assert (answer["text"], answer["end"]["model"]) == ("two", "backup:demo")
        assert time.monotonic() - began < 8, "nobody waits for a limit that takes ten minutes"
        assert "its rate limit is used up for" in await why(visitor)
        assert "rate limit used up**: openai:demo for" in (await visitor.ask("/status"))["text"].lower()
        assert 'antiphon_provider_resting{provider="openai"} 1.0' not in await metrics(workspace.url)
        async with aiohttp.ClientSession() as session, session.get(f"{workspace.url}/api/v1/models") as response:
            waits = {each["id"]: each["exhausted"] for each in (await response.json())["items"]}
        assert waits["backup:demo"] is None
        assert 500 < waits["openai:demo"] < 610


async def test_who_comes_too_early_is_answered_when_the_vendor_may_be_asked(
    house: Serving, visitors: Visitors, tight: Tight
) -> None:
    vendor = await tight(2, 2.0)
    async with house(**over_http(vendor.url, KEY)) as workspace:
        people = [await visitors.enter(workspace.url) for _ in range(5)]
        await people[0].ask("!echo first")
        answers = await asyncio.gather(*(person.ask("!echo hi") for person in people))
        assert [answer["text"] for answer in answers] == ["hi"] * 5
        assert 'outcome="waited",provider="openai"' in await metrics(workspace.url)


async def test_a_long_wait_without_another_model_is_told_at_once(
    house: Serving, visitors: Visitors, tight: Tight
) -> None:
    vendor = await tight(1, 600)
    async with house(**over_http(vendor.url, KEY)) as workspace:
        visitor = await visitors.enter(workspace.url)
        await visitor.ask("!echo one")
        answer = await visitor.ask("!echo two")
        assert answer["end"]["status"] == "refused"
        assert "too many requests" in answer["text"]
