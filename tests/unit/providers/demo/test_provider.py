"""The demo model in process: paced, stoppable, fair."""

import asyncio

import pytest
from pydantic import ValidationError

from antiphon.providers.base import ChatMessage, Error, Event, Finish, ModelRequest, Provider, TextDelta
from antiphon.providers.demo.config import DemoSettings
from antiphon.providers.demo.engine import perform
from antiphon.providers.demo.pace import Pace, period_of
from antiphon.providers.demo.provider import DemoProvider


def _ask(text: str) -> ModelRequest:
    return ModelRequest(model="demo", messages=(ChatMessage(role="user", text=text),))


async def _all(provider: DemoProvider, text: str) -> list[Event]:
    return [event async for event in provider.stream(_ask(text))]


def test_it_keeps_the_contract() -> None:
    assert isinstance(DemoProvider(), Provider)


async def test_it_streams_what_the_engine_says() -> None:
    assert await _all(DemoProvider(), "What is 2+2?") == list(perform(_ask("What is 2+2?")).events)


async def test_it_offers_one_model() -> None:
    assert [model.id for model in await DemoProvider().models()] == ["demo"]


async def test_the_rate_is_kept() -> None:
    loop = asyncio.get_running_loop()
    before = loop.time()
    await _all(DemoProvider(rate=500), "!long 50")
    assert loop.time() - before >= 0.1


async def test_slow_goes_before_the_rate() -> None:
    loop = asyncio.get_running_loop()
    before = loop.time()
    await _all(DemoProvider(rate=1_000_000), "!slow 20 !long 5")
    assert loop.time() - before >= 0.1


def test_deadlines_are_absolute() -> None:
    now = 10.0
    pace = Pace(1.0, lambda: now)
    assert pace.wait() == 1.0
    now = 13.5
    assert [pace.wait(), pace.wait()] == [0.0, 0.0]
    assert pace.wait() == 0.5


@pytest.mark.parametrize(
    ("rate", "delay", "period"),
    [(None, None, None), (0, None, None), (50, None, 0.02), (50, 0.3, 0.3), (None, 0.0, 0.0)],
)
def test_the_period_comes_from_the_request_or_the_rate(
    rate: float | None, delay: float | None, period: float | None
) -> None:
    assert period_of(rate, delay) == period


async def test_an_unpaced_stream_lets_others_work() -> None:
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    counting = asyncio.create_task(count())
    await _all(DemoProvider(), "!long 10000")
    counting.cancel()
    assert turns > 100


async def test_stop_interrupts_every_stream() -> None:
    provider = DemoProvider()
    streams = [asyncio.create_task(_all(provider, text)) for text in ("!hang", "!slow 60000 !long 5", "!hang")]
    while len(provider._sleepers) < 3:
        await asyncio.sleep(0)
    await provider.stop()
    for events in await asyncio.gather(*streams):
        assert isinstance(events[-1], Error)
        assert events[-1].kind == "interrupted"
    assert [event.kind for event in await _all(provider, "hi") if isinstance(event, Error)] == ["interrupted"]


async def test_a_reader_that_goes_away_leaves_nothing_behind() -> None:
    provider = DemoProvider()
    reading = asyncio.create_task(_all(provider, "!hang"))
    while not provider._sleepers:
        await asyncio.sleep(0)
    reading.cancel()
    await asyncio.gather(reading, return_exceptions=True)
    assert not provider._sleepers


async def test_a_stream_may_be_closed_in_the_middle() -> None:
    stream = DemoProvider().stream(_ask("!long 100"))
    assert isinstance(await anext(stream), TextDelta)
    await stream.aclose()
    with pytest.raises(StopAsyncIteration):
        await anext(stream)


async def test_a_hundred_streams_do_not_mix() -> None:
    provider = DemoProvider()
    answers = await asyncio.gather(*(_all(provider, f"!echo number {n}") for n in range(100)))
    for number, events in enumerate(answers):
        assert "".join(event.text for event in events if isinstance(event, TextDelta)) == f"number {number}"
        assert events[-1] == Finish("stop")


def test_settings_refuse_nonsense() -> None:
    assert DemoSettings().rate == 60
    with pytest.raises(ValidationError):
        DemoSettings(rate=-1)
    with pytest.raises(ValidationError):
        DemoSettings.model_validate({"speed": 3})
