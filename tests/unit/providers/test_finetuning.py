"""Fine-tuning over HTTP, against the demo server: what a job becomes, and what goes wrong on the way."""

import json
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from typing import Any, cast

import pytest
from aiohttp import web
from pydantic import SecretStr

from antiphon.assistants.assistant import Assistant
from antiphon.assistants.dialogue import Dialogue
from antiphon.errors import ConfigError, ProviderError
from antiphon.providers.compatible import CompatibleProvider
from antiphon.providers.config import ProviderSettings, ProvidersSettings
from antiphon.providers.demo.server import DemoServer
from antiphon.providers.endpoints import ATTEMPTS, Endpoints
from antiphon.providers.finetuning import FineTuneEvent, FineTuneJob, FineTuning
from antiphon.providers.registry import ProviderRegistry


def examples(count: int = 12, last: str = "assistant") -> bytes:
    rows = [
        {"messages": [{"role": "user", "content": f"{number}?"}, {"role": last, "content": "yes"}]}
        for number in range(count)
    ]
    return "".join(f"{json.dumps(row)}\n" for row in rows).encode()


class Waits:
    """A clock that notes for how long somebody wanted to sleep."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)


@pytest.fixture
async def server() -> AsyncIterator[DemoServer]:
    made = DemoServer(api_key="the-key")
    await made.start()
    yield made
    await made.stop()


@pytest.fixture
async def provider(server: DemoServer) -> AsyncIterator[CompatibleProvider]:
    made = CompatibleProvider("openai", ProviderSettings(base_url=server.url, api_key=SecretStr("the-key")))
    yield made
    await made.stop()


@pytest.fixture
def waits() -> Waits:
    return Waits()


@pytest.fixture
def tuning(provider: CompatibleProvider, waits: Waits) -> FineTuning:
    return FineTuning(Endpoints(provider, sleep=waits), sleep=waits)


async def watched(tuning: FineTuning, job: FineTuneJob) -> tuple[list[str], FineTuneJob]:
    told, last = [], None
    async with aclosing(cast("Any", tuning.watch(job.id))) as events:
        async for each in events:
            if isinstance(each, FineTuneEvent):
                told.append(each.text)
            else:
                last = each
    assert isinstance(last, FineTuneJob)
    return told, last


async def test_a_job_makes_a_model_that_answers_at_once(
    tuning: FineTuning, provider: CompatibleProvider, waits: Waits
) -> None:
    job = await tuning.start(examples(), "demo", suffix="mine", epochs=3)
    assert (job.status, job.model, job.trained, job.over) == ("validating_files", "openai:demo", None, False)
    told, done = await watched(tuning, job)
    assert told == [
        f"Created fine-tuning job: {job.id}",
        "The job is queued",
        "The job is running",
        "The job is succeeded",
    ]
    assert waits.seconds == [10.0, 10.0]
    assert (done.status, done.trained) == ("succeeded", f"openai:ft:demo:antiphon:mine:{job.id}")
    assert done.trained_tokens
    assert [each.id for each in await tuning.jobs()] == [job.id]
    assert done.trained is not None
    reply = await Dialogue(Assistant("guide"), provider, done.trained.partition(":")[2]).process_message("!echo here")
    assert reply.text == "here"


@pytest.mark.parametrize(
    ("data", "suffix", "why"),
    [
        (examples(3), "mine", "has 3 example"),
        (examples(12, last="user"), "mine", "Example 1: the last message"),
        (b"no JSON\n" * 12, "mine", "Example 1 has no messages"),
        (examples(), "fails", "as its suffix asked"),
    ],
)
async def test_a_job_that_fails_says_why(tuning: FineTuning, data: bytes, suffix: str, why: str) -> None:
    told, done = await watched(tuning, await tuning.start(data, "demo", suffix=suffix))
    assert (done.status, done.trained) == ("failed", None)
    assert done.error is not None
    assert why in done.error
    assert why in told[-1]


async def test_a_job_is_cancelled_once(tuning: FineTuning) -> None:
    job = await tuning.start(examples(), "demo")
    assert (await tuning.cancel(job.id)).status == "cancelled"
    assert (await watched(tuning, job))[1].status == "cancelled"
    with pytest.raises(ProviderError) as caught:
        await tuning.cancel(job.id)
    assert caught.value.kind == "invalid"


async def test_a_busy_vendor_is_waited_for_as_long_as_it_asks(tuning: FineTuning, waits: Waits) -> None:
    assert (await tuning.start(examples(), "demo", suffix="busy")).status == "validating_files"
    assert waits.seconds == [1.0, 1.0]
    assert len(await tuning.jobs()) == 1


async def test_what_is_cut_is_asked_for_again(tuning: FineTuning, waits: Waits) -> None:
    job = await tuning.start(examples(), "demo", suffix="cut")
    assert (await tuning.get(job.id)).id == job.id
    assert waits.seconds == [1.0]


async def test_a_job_is_watched_however_long_its_vendor_is_away(hostile: Any, waits: Waits) -> None:
    said, asked, provider = hostile
    said["answer"] = (503, b"")

    async def sleep(seconds: float) -> None:
        await waits(seconds)
        if len(asked) > 50:
            said["answer"] = (200, b'{"id": "j", "model": "m", "status": "succeeded", "data": []}')

    tuning = FineTuning(Endpoints(provider, sleep=sleep), sleep=sleep)
    assert (await watched(tuning, FineTuneJob(id="j", status="running", model="m")))[1].status == "succeeded"
    assert max(waits.seconds) == 600


async def test_what_the_vendor_does_not_have_is_said(tuning: FineTuning, server: DemoServer) -> None:
    for asking in (tuning.get("ftjob-99"), tuning.start(examples(), "nothing")):
        with pytest.raises(ProviderError) as caught:
            await asking
        assert caught.value.kind == "invalid"
    for strange in ("", "../models", "a b", "x?y"):
        with pytest.raises(ProviderError, match="as the id of a job"):
            await tuning.get(strange)
    wrong = CompatibleProvider("openai", ProviderSettings(base_url=server.url, api_key=SecretStr("another")))
    with pytest.raises(ProviderError) as caught:
        await FineTuning(Endpoints(wrong)).jobs()
    assert caught.value.kind == "auth"
    await wrong.stop()


def test_only_vendors_that_are_reached_over_http_have_jobs() -> None:
    providers = ProviderRegistry(ProvidersSettings(), environ={}, plugged=())
    with pytest.raises(ConfigError, match="demo is no vendor"):
        Endpoints.of(providers, "demo")


Answer = Callable[[web.Request], Any]


@pytest.fixture
async def hostile() -> AsyncIterator[tuple[dict[str, Any], list[str], CompatibleProvider]]:
    """A server that says of each path what a test wants, the paths it was asked for, and its provider."""
    said: dict[str, Any] = {}
    asked: list[str] = []

    async def answer(request: web.Request) -> web.Response:
        asked.append(f"{request.method} {request.path}")
        status, body = said["answer"]
        return web.Response(status=status, body=body)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    provider = CompatibleProvider("odd", ProviderSettings(base_url=f"http://127.0.0.1:{runner.addresses[0][1]}/v1"))
    yield said, asked, provider
    await provider.stop()
    await runner.cleanup()


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"<html>", b"{}", b'{"id": 7, "status": "x", "model": "y"}', b'{"data": {}}', b"[" * 100_000, b"\xff"],
)
async def test_garbage_is_an_error_of_the_protocol(body: bytes, hostile: Any) -> None:
    said, _, provider = hostile
    said["answer"] = (200, body)
    tuning = FineTuning(Endpoints(provider))
    for asking in (tuning.get("a"), tuning.jobs(), tuning.start(b"", "m")):
        with pytest.raises(ProviderError) as caught:
            await asking
        assert caught.value.kind == "protocol"


async def test_fields_of_the_wrong_type_are_left_out(hostile: Any) -> None:
    said, _, provider = hostile
    job = {"id": "a", "status": "failed", "model": "m", "created_at": 1e99, "trained_tokens": "x", "error": "no money"}
    said["answer"] = (200, json.dumps(job).encode())
    found = await FineTuning(Endpoints(provider)).get("a")
    assert (found.created_at, found.trained_tokens, found.error) == (None, None, "no money")


async def test_what_may_have_been_done_is_never_done_twice(hostile: Any, waits: Waits) -> None:
    said, asked, provider = hostile
    said["answer"] = (500, b"")
    endpoints = Endpoints(provider, sleep=waits)
    with pytest.raises(ProviderError):
        await endpoints.post("fine_tuning/jobs", {})
    assert asked == ["POST /v1/fine_tuning/jobs"]
    with pytest.raises(ProviderError):
        await endpoints.get("fine_tuning/jobs")
    assert len(asked) == 1 + ATTEMPTS
    assert waits.seconds == [1.0, 2.0, 4.0]
