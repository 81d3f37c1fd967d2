"""The limits of a key, in a time that passes only when everybody waits, against vendors that refuse too much."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from antiphon.domain import Usage
from antiphon.providers.base import ChatMessage, Finish, ModelRequest, RateLimit, RateReport, UsageReport
from antiphon.providers.config import ProviderSettings
from antiphon.providers.counting import LimitManner
from antiphon.providers.demo.limiting import DemoLimit, Limiter
from antiphon.providers.limits import Limits, Permit
from antiphon.telemetry.metrics import Metrics


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop whose time passes only when everybody sleeps, and then at once."""

    def __init__(self) -> None:
        self.moment = 1000.0
        super().__init__()

    def time(self) -> float:
        return self.moment

    def _run_once(self) -> None:
        loop: Any = self
        if not loop._ready and loop._scheduled:
            self.moment = max(self.moment, loop._scheduled[0]._when)
        super()._run_once()  # type: ignore[misc]

    monotonic = time

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


def clock() -> VirtualLoop:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualLoop)
    return loop


def virtually(work: Callable[[], Awaitable[None]]) -> None:
    async def run() -> None:
        await work()

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(run())


def request(model: str = "m", text: str = "hi") -> ModelRequest:
    return ModelRequest(model=model, messages=(ChatMessage(role="user", text=text),))


def limits(manner: LimitManner | None = None, metrics: Metrics | None = None, **section: Any) -> Limits:
    return Limits("acme", ProviderSettings(**section), manner, clock=clock(), metrics=metrics or Metrics())


async def admitted(limited: Limits, model: str = "m", text: str = "hi") -> Permit:
    permit = await limited.admit(request(model, text))
    assert isinstance(permit, Permit)
    return permit


def told(left: float, *, limit: float = 10, reset: float = 5.0, unit: Any = "requests") -> RateReport:
    return RateReport((RateLimit(unit, unit, limit, left, reset),))


async def heard(limited: Limits, report: RateReport, model: str = "m") -> None:
    with await admitted(limited, model) as permit:
        permit.learn(report)


# --- what a vendor tells ------------------------------------------------------------------------------------------


def test_who_would_be_refused_waits_until_the_limit_is_whole_again() -> None:
    async def work() -> None:
        limited, began = limits(), clock().time()
        await heard(limited, told(1))
        await admitted(limited)
        assert clock().time() == began
        await admitted(limited)
        assert clock().time() == began + 5

    virtually(work)


def test_a_limit_that_refills_gives_one_after_the_other() -> None:
    async def work() -> None:
        limited, began = limits(LimitManner(refills=True)), clock().time()
        await heard(limited, told(0, limit=11, reset=20))  # there may be nearly one more than is told
        for nth in (1, 2, 3):
            await admitted(limited)
            assert clock().time() == pytest.approx(began + 2 * nth)

    virtually(work)


def test_whoever_would_wait_too_long_is_told_so_at_once() -> None:
    async def work() -> None:
        metrics = Metrics()
        limited, began = limits(metrics=metrics, longest_wait=30), clock().time()
        await heard(limited, told(0, reset=60))
        assert await limited.admit(request()) == 60
        assert clock().time() == began
        assert (limited.wait("m"), limited.wait("other")) == (60, None)
        assert limited.exhausted() == [("m", 60)]
        await asyncio.sleep(31)
        assert (limited.wait("m"), limited.exhausted()) == (None, [])
        await admitted(limited)
        text = metrics.render().decode()
        assert 'antiphon_provider_limited_total{outcome="given_up",provider="acme"} 1.0' in text
        assert 'antiphon_provider_limited_total{outcome="waited",provider="acme"} 1.0' in text
        assert 'antiphon_provider_waiting{provider="acme"} 0.0' in text

    virtually(work)


@pytest.mark.parametrize("by_model", [True, False])
def test_models_are_counted_each_or_together(by_model: bool) -> None:
    async def work() -> None:
        limited = limits(LimitManner(by_model=by_model))
        await heard(limited, told(0, reset=99), "a")
        assert isinstance(await limited.admit(request("b")), Permit) == by_model
        assert limited.wait("b") == (None if by_model else 99)
        assert limited.exhausted() == [("a" if by_model else "", 99)]

    virtually(work)


def test_the_first_who_came_is_the_first_to_go_and_who_goes_away_holds_nobody_up() -> None:
    async def work() -> None:
        limited, order = limits(), list[int]()

        async def ask(number: int) -> None:
            await admitted(limited)
            order.append(number)

        await heard(limited, told(0, limit=4, reset=5))
        waiting = [asyncio.create_task(ask(number)) for number in range(6)]
        await asyncio.sleep(1)
        for gone in (0, 2):
            waiting[gone].cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        assert order == [1, 3, 4, 5]

    virtually(work)


def test_better_news_wakes_whoever_waits() -> None:
    async def work() -> None:
        limited = limits()
        slow = await admitted(limited)
        await heard(limited, told(1))
        waiting = asyncio.create_task(limited.admit(request()))
        await asyncio.sleep(1)
        assert not waiting.done()
        before = clock().time()
        slow.learn(told(9))
        await waiting
        assert clock().time() == before

    virtually(work)


def test_the_line_has_an_end() -> None:
    async def work() -> None:
        limited = limits(concurrency=1)
        permit = await admitted(limited)
        waiting = [asyncio.create_task(limited.admit(request())) for _ in range(1000)]
        await asyncio.sleep(0)
        assert await limited.admit(request()) == 1.0
        for each in waiting:
            each.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        permit.__exit__(None, None, None)
        await admitted(limited)

    virtually(work)


def test_a_refusal_keeps_everybody_away_for_as_long_as_it_says() -> None:
    async def work() -> None:
        limited, began = limits(), clock().time()
        with await admitted(limited) as permit:
            permit.refused(4)
        await admitted(limited)
        assert clock().time() == began + 4
        with await admitted(limited) as permit:
            permit.refused(86_400)
        assert limited.wait("m") == 3600, "nobody is believed for a day"

    virtually(work)


def test_a_vendor_that_falls_silent_is_asked_again_and_again() -> None:
    async def work() -> None:
        limited = limits(longest_wait=600)
        await heard(limited, told(0, limit=2, reset=5))
        for _ in range(9):
            with await admitted(limited):
                pass

    virtually(work)


def test_tokens_are_held_back_as_well() -> None:
    async def work() -> None:
        limited, began = limits(), clock().time()
        await heard(limited, told(100, limit=1000, reset=8, unit="tokens"))
        await admitted(limited, text="x" * 200)
        assert clock().time() == began
        await admitted(limited, text="x" * 400)
        assert clock().time() == began + 8
        await heard(limited, told(0, limit=1000, reset=3, unit="output"))
        await admitted(limited)
        assert clock().time() == began + 11, "nothing may be written"

    virtually(work)


def test_a_prompt_larger_than_the_limit_is_for_the_vendor_to_refuse() -> None:
    async def work() -> None:
        limited = limits(tokens_per_minute=50)
        await heard(limited, told(10, limit=10, unit="tokens"))
        await asyncio.sleep(60)
        await admitted(limited, text="x" * 4000)

    virtually(work)


def test_a_vendor_that_closes_for_a_day_is_asked_once_an_hour() -> None:
    async def work() -> None:
        limited, began = limits(longest_wait=600), clock().time()
        for hour in (1, 2):
            await heard(limited, told(0, reset=86_000))
            assert limited.wait("m") == 3600
            await asyncio.sleep(3500)
            await admitted(limited)
            assert clock().time() == began + 3600 * hour

    virtually(work)


def test_names_of_models_without_end_are_forgotten_again() -> None:
    async def work() -> None:
        limited = limits()
        for number in range(3000):
            assert limited.wait(f"unknown-{number}") is None
            await heard(limited, told(5), f"model-{number}")
        assert len(limited._scopes) <= 1000

    virtually(work)


# --- what the settings allow --------------------------------------------------------------------------------------


def test_so_many_requests_in_any_minute() -> None:
    async def work() -> None:
        limited, times = limits(requests_per_minute=5, longest_wait=600), list[float]()
        for _ in range(23):
            await admitted(limited, model=random.choice("ab"))
            times.append(clock().time())
            await asyncio.sleep(2)
        assert all(later - earlier >= 60 for earlier, later in zip(times, times[5:], strict=False))
        assert times[-1] - times[0] < 250

    virtually(work)


def test_so_many_tokens_by_what_the_answers_cost() -> None:
    async def work() -> None:
        limited = limits(tokens_per_minute=1000, longest_wait=30)

        async def answer() -> Any:
            yield UsageReport(Usage(input_tokens=200, output_tokens=850))
            yield Finish("stop")

        with await admitted(limited) as permit:
            assert [type(event) async for event in permit.watched(answer())] == [UsageReport, Finish]
        assert await limited.admit(request()) == 60

    virtually(work)


def test_so_many_answers_at_once() -> None:
    async def work() -> None:
        limited, under_way, most = limits(concurrency=3), 0, 0

        async def ask(number: int) -> None:
            nonlocal under_way, most
            with await admitted(limited, model=str(number % 2)):
                under_way += 1
                most = max(most, under_way)
                await asyncio.sleep(1)
                under_way -= 1

        await asyncio.gather(*(ask(number) for number in range(12)))
        assert (most, clock().time()) == (3, 1004)
        held = [await admitted(limited) for _ in range(3)]
        before = clock().time()
        assert await limited.admit(request()) == 1.0
        assert clock().time() == before + 10
        held[0].__exit__(None, None, None)
        await admitted(limited)

    virtually(work)


# --- the property -------------------------------------------------------------------------------------------------


class Strict:
    """A vendor that looks at requests in any order, is never quick, and refuses what is beyond its limit."""

    def __init__(self, limit: DemoLimit, chance: random.Random) -> None:
        self._limiter = Limiter(limit)
        self._limit = limit
        self._chance = chance
        self.served = 0
        self.refused = 0

    async def ask(self, limited: Limits) -> None:
        with await admitted(limited) as permit:
            await asyncio.sleep(self._chance.uniform(0.001, 0.4))
            let_in, left, reset = self._limiter.take("key", clock().time())
            await asyncio.sleep(self._chance.uniform(0.001, 0.4))
            self.served += let_in
            self.refused += not let_in
            permit.learn(told(int(left), limit=self._limit.requests, reset=reset + 0.01))
            await asyncio.sleep(self._chance.uniform(0.0, 2.0))


@settings(max_examples=40, deadline=None)
@given(
    most=st.integers(3, 60),
    seconds=st.sampled_from([10.0, 60.0]),
    refills=st.booleans(),
    clients=st.integers(1, 20),
    seed=st.integers(0, 10_000),
)
def test_nothing_is_refused_after_the_first_answer_and_little_is_left_unused(
    most: int, seconds: float, refills: bool, clients: int, seed: int
) -> None:
    async def work() -> None:
        vendor = Strict(DemoLimit(most, seconds, refills), random.Random(seed))
        limited = limits(LimitManner(refills=refills), longest_wait=600)
        await vendor.ask(limited)
        end = clock().time() + 5 * seconds

        async def client() -> None:
            while clock().time() < end:
                await vendor.ask(limited)

        before, began = vendor.served, clock().time()
        await asyncio.gather(*(client() for _ in range(clients)))
        # One that refills tells of whole requests only: where the fraction was, one in thousands goes wrong.
        assert vendor.refused <= refills
        lasted = clock().time() - began
        # An answer takes at most 2.8 seconds, and one client is never faster than that.
        possible = min(lasted * most / seconds, clients * lasted / 2.8)
        assert vendor.served - before >= 0.55 * possible - 2

    virtually(work)


@pytest.fixture
def busy() -> Limits:
    """A key whose vendor tells of everything, and whose settings limit everything."""
    return Limits("acme", ProviderSettings(requests_per_minute=1_000_000, concurrency=9), metrics=Metrics())


async def test_it_costs_microseconds(busy: Limits) -> None:
    report = RateReport(tuple(RateLimit(unit, unit, 1e9, 1e9, 60.0) for unit in ("requests", "tokens")))
    asked, rounds = request(), 2_000
    best = 1.0
    for _ in range(5):
        began = time.process_time()
        for _ in range(rounds):
            permit = await busy.admit(asked)
            assert isinstance(permit, Permit)
            with permit:
                permit.learn(report)
        best = min(best, (time.process_time() - began) / rounds)
    assert best < 30e-6
