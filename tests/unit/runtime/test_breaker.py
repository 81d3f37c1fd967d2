"""A server that keeps failing is left alone, and one call finds out whether it is back."""

import asyncio
from collections.abc import Callable

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from antiphon.errors import ProviderError, ServiceError, ValidationError
from antiphon.runtime.breaker import CircuitBreaker, may_pass
from antiphon.runtime.clock import ManualClock
from antiphon.runtime.config import ServiceSettings


async def fail(error: BaseException | None = None) -> None:
    raise error or OSError("refused")


async def answer() -> str:
    return "pong"


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def changes() -> list[str]:
    return []


@pytest.fixture
def breaker(clock: ManualClock, changes: list[str]) -> CircuitBreaker:
    return CircuitBreaker("Redis", failures=3, seconds=10, listener=changes.append, clock=clock)


async def opened(breaker: CircuitBreaker) -> None:
    for _ in range(3):
        with pytest.raises(OSError, match="refused"):
            await breaker.call(fail)


async def test_it_opens_after_failures_in_a_row_and_says_when_to_come_back(
    breaker: CircuitBreaker, clock: ManualClock
) -> None:
    await opened(breaker)
    await clock.advance(4)
    with pytest.raises(ServiceError) as caught:
        await breaker.call(answer)
    assert str(caught.value) == ("Redis has failed 3 times in a row and is left alone; try again in 6 seconds.")
    assert (caught.value.retry_after, caught.value.retryable) == (6, True)


async def test_an_answer_in_between_begins_a_new_row(breaker: CircuitBreaker) -> None:
    for _ in range(5):
        for _ in range(2):
            with pytest.raises(OSError, match="refused"):
                await breaker.call(fail)
        assert await breaker.call(answer) == "pong"
    assert breaker.state == "closed"


async def test_one_call_finds_out_that_it_is_back(
    breaker: CircuitBreaker, clock: ManualClock, changes: list[str]
) -> None:
    await opened(breaker)
    await clock.advance(10)
    assert await breaker.call(answer) == "pong"
    assert changes == ["open", "half-open", "closed"]


async def test_one_call_finds_out_that_it_is_not(breaker: CircuitBreaker, clock: ManualClock) -> None:
    await opened(breaker)
    await clock.advance(10)
    with pytest.raises(OSError, match="refused"):
        await breaker.call(fail)
    await clock.advance(9)
    with pytest.raises(ServiceError, match="try again in 1 seconds"):
        await breaker.call(answer)


async def test_only_one_finds_out(breaker: CircuitBreaker, clock: ManualClock) -> None:
    await opened(breaker)
    await clock.advance(10)
    let_go = asyncio.Event()
    probe = asyncio.create_task(breaker.call(let_go.wait))
    await asyncio.sleep(0)
    for _ in range(100):
        with pytest.raises(ServiceError):
            await breaker.call(answer)
    let_go.set()
    assert await probe
    assert breaker.state == "closed"


async def test_one_that_is_given_up_leaves_it_to_the_next(breaker: CircuitBreaker, clock: ManualClock) -> None:
    await opened(breaker)
    await clock.advance(10)
    probe = asyncio.create_task(breaker.call(asyncio.Event().wait))
    await asyncio.sleep(0)
    probe.cancel()
    await asyncio.wait({probe})
    assert breaker.state == "open"
    assert await breaker.call(answer) == "pong"


async def test_calls_that_began_before_say_nothing_about_now(breaker: CircuitBreaker, clock: ManualClock) -> None:
    let_go = asyncio.Event()

    async def late(error: Exception | None) -> None:
        await let_go.wait()
        if error:
            raise error

    tasks = [asyncio.create_task(breaker.call(late, error)) for error in (None, OSError("late"))]
    await asyncio.sleep(0)
    await opened(breaker)
    let_go.set()
    await asyncio.wait(tasks)
    assert isinstance(tasks[1].exception(), OSError)
    assert breaker.state == "open"


async def test_a_refusal_is_an_answer(breaker: CircuitBreaker) -> None:
    for _ in range(10):
        with pytest.raises(ValidationError):
            await breaker.call(fail, ValidationError("No such key."))
    assert breaker.state == "closed"


async def test_a_cancelled_call_is_no_failure(breaker: CircuitBreaker) -> None:
    for _ in range(10):
        with pytest.raises(asyncio.CancelledError):
            await breaker.call(fail, asyncio.CancelledError())
    assert breaker.state == "closed"


async def test_a_block_is_a_call_too(breaker: CircuitBreaker) -> None:
    for _ in range(3):
        with pytest.raises(TimeoutError):
            async with breaker.guard():
                raise TimeoutError
    with pytest.raises(ServiceError):
        async with breaker.guard():
            raise AssertionError


async def test_it_is_as_the_settings_have_it(changes: list[str]) -> None:
    breaker = CircuitBreaker.of("PostgreSQL", ServiceSettings(breaker_failures=1), listener=changes.append)
    with pytest.raises(OSError, match="refused"):
        await breaker.call(fail)
    assert changes == ["open"]


@pytest.mark.parametrize(
    ("error", "passes"),
    [
        (ConnectionResetError(), True),
        (TimeoutError(), True),
        (ServiceError("Full."), True),
        (ProviderError("Slow down.", kind="rate_limit", retryable=True), True),
        (ProviderError("Wrong key.", kind="auth"), False),
        (ValidationError("Too long."), False),
        (KeyError("x"), False),
    ],
)
def test_what_may_be_over_a_moment_later(error: Exception, passes: bool) -> None:
    assert may_pass(error) is passes


class Model(RuleBasedStateMachine):
    """Calls that begin, succeed, fail and are given up in any order while time goes on."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = ManualClock()
        self.seen: list[str] = ["closed"]
        self.breaker = CircuitBreaker("x", failures=2, seconds=5, listener=self.seen.append, clock=self.clock)
        self.probes = 0
        self.open_calls: list[tuple[object, bool]] = []

    @rule(seconds=st.floats(0, 7))
    def time_passes(self, seconds: float) -> None:
        asyncio.run(self.clock.advance(seconds))

    @rule()
    def begin(self) -> None:
        call, was, refused = self.breaker.guard(), self.breaker.state, None
        try:
            asyncio.run(call.__aenter__())
        except ServiceError as error:
            refused = error
        if refused is None:
            assert was != "half-open", "a second probe"
            self.open_calls.append((call, self.breaker.state == "half-open"))
        else:
            assert was != "closed"
            assert 0 <= (refused.retry_after or 0) < 5.001

    @precondition(lambda self: self.open_calls)
    @rule(
        data=st.data(),
        error=st.sampled_from([None, OSError("refused"), ValidationError("no"), asyncio.CancelledError()]),
    )
    def end(self, data: st.DataObject, error: BaseException | None) -> None:
        call, probing = self.open_calls.pop(data.draw(st.integers(0, len(self.open_calls) - 1)))
        was = self.breaker.state
        asyncio.run(call.__aexit__(type(error) if error else None, error, None))  # type: ignore[attr-defined]
        if was == "half-open" and probing:
            assert self.breaker.state == ("closed" if error is None or isinstance(error, ValidationError) else "open")
        elif was != "closed":
            assert self.breaker.state == was, "an old call changed it"

    @invariant()
    def one_probe_at_most(self) -> None:
        legal = {("closed", "open"), ("open", "half-open"), ("half-open", "open"), ("half-open", "closed")}
        assert set(zip(self.seen, self.seen[1:], strict=False)) <= legal


Model.TestCase.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
TestAnyOrder: Callable[..., object] = Model.TestCase
