"""Budgets where people meet them: in the conversation, in `/status` and `/why`, over REST and the OpenAI API."""

import asyncio
import sqlite3
from contextlib import closing
from typing import Any

import aiohttp
import openai
import pytest
from openai import AsyncOpenAI

from antiphon.providers.demo.server import DemoServer
from tests.flows.conftest import Serving, over_http
from tests.serving import LONGEST, Served, Visitors


async def usage(url: str, **query: str) -> tuple[int, list[dict[str, Any]]]:
    async with aiohttp.ClientSession() as session, session.get(f"{url}/api/v1/usage", params=query) as response:
        return response.status, (await response.json()).get("items", [])


async def test_a_budget_that_is_used_up_says_when_it_is_free_again(
    house: Serving, vendor: DemoServer, visitors: Visitors
) -> None:
    async with house(**over_http(vendor.url, budgets={"person": {"tokens_per_day": 3_000}})) as workspace:
        visitor = await visitors.enter(workspace.url)
        assert (await visitor.ask("!echo one"))["end"]["status"] == "answered"
        long = await visitor.ask("!long 3000")
        assert long["end"]["usage"]["cost"] is None
        refused = await visitor.ask("!echo two")
        assert refused["end"]["status"] == "refused"
        assert refused["text"].startswith("Your budget for today (3,000 tokens) does not reach for another answer.")
        assert "It is free again at 00:00 UTC" in refused["text"]
        assert "price unknown" in (await visitor.ask("/status"))["text"]
        async with AsyncOpenAI(base_url=f"{workspace.url}/v1", api_key="none", max_retries=0) as client:
            with pytest.raises(openai.RateLimitError) as raised:
                await client.chat.completions.create(
                    model="guide", messages=[{"role": "user", "content": "!echo three"}]
                )
            assert raised.value.code == "insufficient_quota"
            answer = await client.chat.completions.create(
                model="guide", messages=[{"role": "user", "content": "!echo four"}], user="somebody else"
            )
            assert answer.choices[0].message.content == "four"


async def test_what_was_spent_is_there_by_the_day(house: Serving, vendor: DemoServer, visitors: Visitors) -> None:
    prices = {"openai:demo": {"input": 1, "output": 2}}
    async with house(**over_http(vendor.url, budgets={"prices": prices})) as workspace:
        visitor = await visitors.enter(workspace.url)
        answer = await visitor.ask("!echo one two three")
        told = answer["end"]["usage"]
        assert told["cost"] == pytest.approx((told["input_tokens"] + 2 * told["output_tokens"]) / 1e6)
        assert "price unknown" not in (await visitor.ask("/why"))["text"]
        for by, owner in (("person", "local"), ("model", "openai:demo"), ("platform", "web"), ("house", "")):
            status, (spent,) = await usage(workspace.url, by=by)
            assert (status, spent["scope"], spent["owner"], spent["calls"]) == (200, by, owner, 1)
            assert spent["cost"] == pytest.approx(told["cost"])
            assert spent["unpriced_calls"] == 0
        assert await usage(workspace.url, until="2020-01-01") == (200, [])
        assert await usage(workspace.url, since="0001-01-01", until="9999-12-31", by="conversation") != (200, [])
        assert (await usage(workspace.url, by="everybody"))[0] == 422


async def calls(url: str) -> int:
    _, spent = await usage(url, by="person")
    return sum(day["calls"] for day in spent)


async def test_what_was_spent_is_written_soon_and_a_stop_loses_nothing(served: Served, visitors: Visitors) -> None:
    visitor = await visitors.enter(served.start().url)
    await visitor.ask("!echo one")
    query = "SELECT calls FROM spending WHERE scope = 'house'"
    with closing(sqlite3.connect(served.folder / "data" / "antiphon.db")) as database:
        async with asyncio.timeout(LONGEST):
            while database.execute(query).fetchall() != [(1,)]:
                await asyncio.sleep(0.02)
    for number in range(5):
        await visitor.ask(f"!echo {number}")
    assert served.stop() == 0
    assert await calls(served.start().url) == 6


@pytest.mark.parametrize("limited", [True, False])
async def test_a_kill_loses_nothing_that_a_limit_bounds_and_half_a_second_of_the_rest(
    served: Served, visitors: Visitors, limited: bool
) -> None:
    if limited:
        served.variables["ANTIPHON_BUDGETS__PERSON__TOKENS_PER_DAY"] = "1000000"
    visitor = await visitors.enter(served.start().url)
    for number in range(3):
        await visitor.ask(f"!echo {number}")
    assert await calls(served.url) == 3  # whoever asks sees everything, and then it is written
    for number in range(3):
        await visitor.ask(f"!echo {number}")
    served.kill()
    found = await calls(served.start().url)
    assert found == 6 if limited else 3 <= found <= 6
    await visitors.close()
