from collections.abc import AsyncGenerator

import pytest

from antiphon.errors import ProviderError
from antiphon.providers.base import Error, ErrorKind, Event, Finish, ModelInfo, ModelRequest, Provider, TextDelta
from antiphon.providers.reliability import Reliable
from antiphon.runtime.clock import ManualClock
from antiphon.runtime.config import ServiceSettings
from antiphon.telemetry.metrics import Metrics

REQUEST = ModelRequest(model="m", messages=())
ANSWER: list[Event] = [TextDelta("Hello"), Finish("stop")]


def failed(kind: ErrorKind, *, retryable: bool = True, after: float | None = None) -> list[Event]:
    return [Error(kind, "x", "x", retryable=retryable, retry_after=after)]


class Scripted:
    """A provider that gives its answers one after the other and counts what is asked and closed."""

    name = "acme"

    def __init__(self, *answers: list[Event]) -> None:
        self.answers = list(answers)
        self.asked = 0
        self.closed = 0
        self.stopped = False

    async def stream(self, request: ModelRequest) -> AsyncGenerator[Event, None]:
        self.asked += 1
        try:
            for event in self.answers.pop(0):
                yield event
        finally:
            self.closed += 1

    async def models(self) -> tuple[ModelInfo, ...]:
        return (ModelInfo(id="m"),)

    async def stop(self) -> None:
        self.stopped = True


async def run(
    provider: Scripted, jitter: float = 0.0, settings: ServiceSettings | None = None
) -> tuple[list[Event], list[float]]:
    waits: list[float] = []
    clock = ManualClock()

    async def sleep(seconds: float) -> None:
        assert provider.closed == provider.asked, "a failed stream is closed before the wait"
        waits.append(seconds)
        await clock.advance(seconds)

    retrying = Reliable(provider, settings, sleep=sleep, jitter=lambda: jitter, clock=clock)
    events = [event async for event in retrying.stream(REQUEST)]
    assert provider.closed == provider.asked
    return events, waits


async def test_an_answer_passes_through() -> None:
    assert await run(Scripted(ANSWER)) == (ANSWER, [])


@pytest.mark.parametrize("kind", ["rate", "overload", "server", "unreachable", "timeout", "interrupted"])
async def test_a_failure_before_the_first_event_is_repeated(kind: ErrorKind) -> None:
    assert await run(Scripted(failed(kind), failed(kind), ANSWER)) == (ANSWER, [0.25, 0.5])
    assert await run(Scripted(failed(kind), failed(kind), ANSWER), jitter=1.0) == (ANSWER, [0.5, 1.0])


async def test_the_last_of_three_failures_is_told() -> None:
    provider = Scripted(failed("rate"), failed("rate"), failed("overload"), ANSWER)
    assert (await run(provider))[0] == failed("overload")
    assert provider.asked == 3


@pytest.mark.parametrize("kind", ["auth", "quota", "invalid", "retired", "filtered", "protocol"])
async def test_what_does_not_get_better_is_not_repeated(kind: ErrorKind) -> None:
    assert await run(Scripted(failed(kind, retryable=False), ANSWER)) == (failed(kind, retryable=False), [])


async def test_nothing_is_repeated_once_something_was_said() -> None:
    answer: list[Event] = [TextDelta("Hel"), *failed("overload")]
    assert await run(Scripted(answer, ANSWER)) == (answer, [])


async def test_the_wait_is_the_vendors_and_a_little_more() -> None:
    assert (await run(Scripted(failed("rate", after=4.0), ANSWER)))[1] == [4.0]
    assert (await run(Scripted(failed("rate", after=4.0), ANSWER), jitter=1.0))[1] == [4.4]
    assert (await run(Scripted(failed("rate", after=0.0), ANSWER)))[1] == [0.0]


async def test_a_vendor_that_wants_too_much_time_is_not_waited_for() -> None:
    assert await run(Scripted(failed("rate", after=60.0), ANSWER)) == (failed("rate", after=60.0), [])


async def test_the_settings_say_how_often_how_much_longer_and_for_how_long() -> None:
    patient = ServiceSettings(retry_attempts=5, backoff_factor=3, timeout=100)
    failures = [failed("server")] * 4
    assert await run(Scripted(*failures, ANSWER), settings=patient) == (ANSWER, [0.25, 0.75, 2.25, 6.75])
    assert (await run(Scripted(failed("rate", after=99.0), ANSWER), settings=patient))[0] == ANSWER
    once = ServiceSettings(retry_attempts=1)
    assert await run(Scripted(failed("server"), ANSWER), settings=once) == (failed("server"), [])
    hasty = ServiceSettings(retry_attempts=5, timeout=0.3)
    assert await run(Scripted(*failures, ANSWER), settings=hasty) == (failed("server"), [0.25])


async def test_the_list_of_models_is_asked_for_again() -> None:
    provider, busy = Scripted(), [ProviderError("busy", kind="overload", retryable=True, retry_after=0.0)]
    listed = provider.models

    async def models() -> tuple[ModelInfo, ...]:
        if busy:
            raise busy.pop()
        return await listed()

    provider.models = models  # type: ignore[method-assign]
    assert await Reliable(provider).models() == (ModelInfo(id="m"),)
    assert busy == []


async def test_closing_reaches_the_vendor() -> None:
    provider = Scripted(ANSWER)
    stream = Reliable(provider).stream(REQUEST)
    await anext(stream)
    await stream.aclose()
    assert provider.closed == 1


async def test_the_rest_is_the_providers() -> None:
    provider = Scripted()
    retrying = Reliable(provider)
    assert isinstance(retrying, Provider)
    assert (retrying.name, await retrying.models()) == ("acme", (ModelInfo(id="m"),))
    await retrying.stop()
    assert provider.stopped


async def test_the_times_of_an_answer_are_counted_and_those_of_a_failure_are_not() -> None:
    metrics = Metrics()
    provider = Scripted([TextDelta("a"), TextDelta("b"), Finish("stop")], failed("server", retryable=False))
    retrying = Reliable(provider, metrics=metrics)
    for _ in range(2):
        assert [event async for event in retrying.stream(REQUEST)]
    times = metrics.percentiles()
    names = ("antiphon_model_seconds", "antiphon_model_first_seconds", "antiphon_model_token_seconds")
    assert [times[name].count for name in names] == [1, 1, 1]
    assert 'antiphon_model_seconds_count{provider="acme"} 1.0' in metrics.render().decode()


async def test_a_vendor_that_keeps_failing_is_left_alone_until_one_try_shows_that_it_is_back() -> None:
    metrics, clock = Metrics(), ManualClock()
    settings = ServiceSettings(retry_attempts=1, breaker_failures=2, breaker_seconds=10)
    provider = Scripted(failed("auth"), failed("server"), failed("server"), ANSWER, ANSWER)
    reliable = Reliable(provider, settings, clock=clock, metrics=metrics)

    async def kinds() -> list[str]:
        return [event.kind if isinstance(event, Error) else "said" async for event in reliable.stream(REQUEST)]

    assert [await kinds(), await kinds()] == [["auth"], ["server"]]
    assert reliable.resting() == 10
    assert 'antiphon_provider_resting{provider="acme"} 1.0' in metrics.render().decode()
    assert await kinds() == ["resting"]
    assert provider.asked == 2, "it was left alone"
    await clock.advance(10)
    assert await kinds() == ["server"], "the one try failed"
    assert reliable.resting() == 10
    await clock.advance(10)
    assert await kinds() == await kinds() == ["said", "said"]
    assert reliable.resting() is None
    assert 'antiphon_provider_resting{provider="acme"} 0.0' in metrics.render().decode()


@pytest.mark.parametrize("kind", ["rate", "invalid", "filtered"])
async def test_what_is_wrong_with_one_request_says_nothing_about_the_vendor(kind: ErrorKind) -> None:
    provider = Scripted(*[failed(kind, retryable=False)] * 3)
    reliable = Reliable(provider, ServiceSettings(breaker_failures=1))
    for _ in range(3):
        assert [event async for event in reliable.stream(REQUEST)] == failed(kind, retryable=False)
    assert reliable.resting() is None
