"""Batches over HTTP, of both vendors that have them and of one that has none, against the demo server."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web

from antiphon.errors import ProviderError
from antiphon.providers.base import ChatMessage, ModelRequest, ToolSpec
from antiphon.providers.batches import BatchAnswer, ModelBatches
from antiphon.providers.config import ProvidersSettings
from antiphon.providers.demo.server import DemoServer
from antiphon.providers.prices import ModelPrice, Prices
from antiphon.providers.registry import ProviderRegistry
from antiphon.runtime.batch import BatchProcessor

MODELS = ["openai:demo", "anthropic:demo", "demo"]


def registry(root: str) -> ProviderRegistry:
    addresses = {"openai": f"{root}/v1", "groq": f"{root}/v1", "anthropic": root}
    sections = {name: {"base_url": address, "api_key": "the-key"} for name, address in addresses.items()}
    settings = ProvidersSettings.model_validate(sections | {"demo": {"rate": 0}})
    return ProviderRegistry(settings, environ={}, plugged=())


@pytest.fixture
async def providers() -> AsyncIterator[ProviderRegistry]:
    server = DemoServer(api_key="the-key")
    await server.start()
    made = registry(server.root)
    yield made
    await made.stop()
    await server.stop()


def of(providers: ProviderRegistry, model: str, **options: Any) -> ModelBatches:
    return ModelBatches(providers, model, sleep=lambda _: asyncio.sleep(0), **options)


def text(answer: BatchAnswer | ProviderError) -> str:
    assert isinstance(answer, BatchAnswer), answer
    return answer.text


@pytest.mark.parametrize("model", MODELS)
async def test_answers_come_in_order_and_errors_are_those_of_one_item(model: str, providers: ProviderRegistry) -> None:
    batches = of(providers, model)
    assert batches.in_batches == (model != "demo")
    found = await batches.answers(["!echo one", "!401", "!echo two\nlines", "!echo three"])
    assert [text(each) for each in (found[0], *found[2:])] == ["one", "two\nlines", "three"]
    assert isinstance(found[1], ProviderError)
    assert found[1].kind == "auth"
    assert await batches.answers([]) == [] or model != "demo"


@pytest.mark.parametrize("model", MODELS)
async def test_tools_and_usage_are_in_an_answer(model: str, providers: ProviderRegistry) -> None:
    weather = ToolSpec(name="weather", description="Tells it.", parameters={"type": "object", "properties": {}})
    asked = ModelRequest(
        model="",
        messages=(
            ChatMessage(role="system", text="Be brief."),
            ChatMessage(role="user", text='!tool weather {"a": 1}'),
        ),
        tools=(weather,),
        max_tokens=100,
    )
    (found,) = await of(providers, model).answers([asked])
    assert isinstance(found, BatchAnswer)
    assert (found.finish, [(call.name, json.loads(call.arguments)) for call in found.calls]) == (
        "tool_calls",
        [("weather", {"a": 1})],
    )
    assert found.usage.input_tokens > 0


async def test_a_batch_costs_half_where_the_price_is_known(providers: ProviderRegistry) -> None:
    prices = {model: ModelPrice(input=1e6, output=0) for model in MODELS}
    (whole,) = await of(providers, "groq:demo").answers(["!echo a"])
    assert isinstance(whole, BatchAnswer)
    assert whole.usage.cost is None
    (half,) = await of(providers, "openai:demo", prices=Prices(prices)).answers(["!echo a"])
    assert isinstance(half, BatchAnswer)
    assert half.usage.cost == half.usage.input_tokens / 2 == whole.usage.input_tokens / 2


@pytest.mark.parametrize("model", MODELS[:2])
async def test_a_batch_is_gone_on_from_after_a_crash(model: str, providers: ProviderRegistry) -> None:
    told: list[str] = []
    batch_id = await of(providers, model, on_submitted=told.append).submit(["!echo one", "!hang", "!echo three"])
    assert told == [batch_id]
    first, missing, third = await of(providers, model).results(batch_id, 3)
    assert (text(first), text(third)) == ("one", "three")
    assert isinstance(missing, ProviderError)
    assert "not carried out" in missing.public


@pytest.mark.parametrize("model", MODELS[:2])
async def test_who_is_cancelled_cancels_the_batch(model: str, providers: ProviderRegistry) -> None:
    told: list[str] = []
    waiting = asyncio.Event()

    async def forever(_: float) -> None:
        waiting.set()
        await asyncio.Event().wait()

    batches = ModelBatches(providers, model, on_submitted=told.append, sleep=forever)
    task = asyncio.ensure_future(batches.answers(["!echo one"]))
    await waiting.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    (found,) = await of(providers, model).results(told[0], 1)
    assert isinstance(found, ProviderError)


async def test_who_is_cancelled_hears_that_and_not_what_the_vendor_says_to_it(hostile: Any) -> None:
    said, providers = hostile
    said["files"] = {"id": "f"}
    said["cancel"] = b"<html>"
    said["batches"] = {"id": "b", "status": "in_progress"}
    waiting = asyncio.Event()

    async def forever(_: float) -> None:
        waiting.set()
        await asyncio.Event().wait()

    task = asyncio.ensure_future(ModelBatches(providers, "openai:demo", sleep=forever).answers(["!echo one"]))
    await waiting.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@pytest.mark.parametrize("model", MODELS)
async def test_a_batch_processor_collects_what_is_asked(model: str, providers: ProviderRegistry) -> None:
    told: list[str] = []
    batches = of(providers, model, on_submitted=told.append)
    async with BatchProcessor[str](3, 5.0, handle=batches.answers) as asked:
        found = await asyncio.gather(
            *(asked.submit(f"!echo {number}") for number in range(5)), asked.submit("!401"), return_exceptions=True
        )
    assert [each.text for each in found[:5] if isinstance(each, BatchAnswer)] == list("01234")
    assert isinstance(found[5], ProviderError)
    assert len(told) == (0 if model == "demo" else 2)


async def test_a_provider_without_batches_says_so(providers: ProviderRegistry) -> None:
    with pytest.raises(ProviderError, match="has no batches"):
        await of(providers, "demo").submit(["!echo one"])
    for model in MODELS[:2]:
        with pytest.raises(ProviderError) as caught:
            await of(providers, model).results("batch-99", 1)
        assert caught.value.kind == "invalid"


@pytest.fixture
async def hostile() -> AsyncIterator[tuple[dict[str, Any], ProviderRegistry]]:
    """A vendor that says of each path what a test wants."""
    said: dict[str, Any] = {}

    async def answer(request: web.Request) -> web.Response:
        found = next(body for path, body in said.items() if path in request.path)
        if said.get("away", 0) > 0:
            said["away"] -= 1
            return web.Response(status=503)
        return web.Response(body=found if isinstance(found, bytes) else json.dumps(found).encode())

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    providers = registry(f"http://127.0.0.1:{runner.addresses[0][1]}")
    yield said, providers
    await providers.stop()
    await runner.cleanup()


async def test_strange_results_are_errors_of_their_own_items(hostile: Any) -> None:
    said, providers = hostile
    rows: list[Any] = [
        {"custom_id": "0", "response": {"status_code": 200, "body": {"choices": []}}},
        {"custom_id": "2", "response": {"status_code": 200, "body": "text"}},
        {"custom_id": "3", "response": None, "error": {"message": "no"}},
        {"custom_id": "4", "response": {"status_code": 429, "body": None}},
        {"custom_id": "99", "response": {"status_code": 200, "body": {}}},
        {"custom_id": None},
        {"custom_id": "9" * 5_000},
        {},
    ]
    said["content"] = "\n".join(map(json.dumps, rows)).encode()
    said["batches"] = {"id": "b", "status": "completed", "output_file_id": "f", "error_file_id": None}
    found = await of(providers, "openai:demo").results("b", 5)
    assert all(isinstance(each, ProviderError) for each in found)
    kinds = [each.kind for each in found if isinstance(each, ProviderError)]
    assert (kinds[1], kinds[4]) == ("interrupted", "rate")


async def test_a_vendor_that_is_away_for_long_loses_no_batch(hostile: Any) -> None:
    said, providers = hostile
    said["content"] = b'{"custom_id": "0", "response": {"status_code": 401, "body": null}}'
    said["files"] = {"id": "f"}
    said["batches"] = {"id": "b", "status": "in_progress", "output_file_id": "f"}
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 1:
            said["away"] = 100
        elif said["away"] == 50:
            said["batches"]["status"] = "completed"

    batches = ModelBatches(providers, "openai:demo", sleep=sleep)
    (found,) = await batches.answers(["!echo one"])
    assert isinstance(found, ProviderError)
    assert found.kind == "auth"  # what came of it, and not that nobody was there
    assert said["away"] == 0
    assert max(waits) == 600


async def test_a_batch_that_is_refused_as_a_whole_says_why(hostile: Any) -> None:
    said, providers = hostile
    said["batches"] = {"id": "b", "status": "failed", "errors": {"data": [{"message": "Too many requests in it."}]}}
    with pytest.raises(ProviderError) as caught:
        await of(providers, "openai:demo").results("b", 1)
    assert "Too many requests in it." in caught.value.public
    said["batches"] = {"id": "b", "status": "failed", "errors": "odd"}
    with pytest.raises(ProviderError):
        await of(providers, "openai:demo").results("b", 1)


@pytest.mark.parametrize("data", [b"<html>", b"[1]\n", b"{", b"\xff"])
async def test_results_that_are_no_lines_are_an_error(data: bytes, hostile: Any) -> None:
    said, providers = hostile
    said["results"] = said["content"] = data
    said["batches"] = {"id": "b", "status": "completed", "processing_status": "ended", "output_file_id": "f"}
    for model in MODELS[:2]:
        with pytest.raises(ProviderError) as caught:
            await of(providers, model).results("b", 1)
        assert caught.value.kind == "protocol"
