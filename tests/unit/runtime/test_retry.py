"""Trying again: what, how often, when, and what is said in the end."""

import asyncio
import logging
import subprocess
import sys
import time
from typing import Any

import pytest

from antiphon.errors import ConfigError, ProviderError, ServiceError, ValidationError
from antiphon.runtime.breaker import CircuitBreaker
from antiphon.runtime.config import ServiceSettings
from antiphon.runtime.retry import ErrorHandler, retry_async


class Server:
    """Gives its answers one after the other; an exception is raised."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.calls: list[float] = []

    async def __call__(self, *args: Any, **keywords: Any) -> Any:
        self.calls.append(time.monotonic())
        answer = self.answers.pop(0)
        if isinstance(answer, BaseException):
            raise answer
        return (answer, args, keywords) if args or keywords else answer


def quick(attempts: int = 3, factor: float = 2, timeout: float | None = 30, **more: Any) -> ErrorHandler:
    return ErrorHandler(attempts, factor, timeout, first_pause=0.001, **more)


def test_it_is_made_where_no_loop_runs() -> None:
    ErrorHandler(retry_attempts=3, backoff_factor=2, timeout=30)


async def test_a_failure_that_may_pass_is_tried_again() -> None:
    server = Server(OSError("refused"), ServiceError("Full."), "pong")
    assert await quick().run(server) == "pong"
    assert len(server.calls) == 3


async def test_the_last_failure_is_raised_as_it_is() -> None:
    last = TimeoutError("third")
    with pytest.raises(TimeoutError) as caught:
        await quick().run(Server(OSError("first"), OSError("second"), last))
    assert caught.value is last


@pytest.mark.parametrize(
    "error", [ValidationError("Too long."), ProviderError("Wrong key.", kind="auth"), KeyError("x"), SystemExit(1)]
)
async def test_any_other_failure_is_raised_at_once(error: BaseException) -> None:
    server = Server(error, "never")
    with pytest.raises(type(error)):
        await quick().run(server)
    assert len(server.calls) == 1


@pytest.mark.parametrize("retry_on", [KeyError, (KeyError, IndexError), lambda error: error.args == ("x",)])
async def test_what_is_tried_again_can_be_said(retry_on: Any) -> None:
    assert await quick(retry_on=retry_on).run(Server(KeyError("x"), "pong")) == "pong"
    with pytest.raises(OSError, match="refused"):
        await quick(retry_on=retry_on).run(Server(OSError("refused"), "never"))


async def test_pauses_grow() -> None:
    server = Server(*[OSError("refused")] * 4, "pong")
    await ErrorHandler(5, 3, first_pause=0.02).run(server)
    pauses = [later - earlier for earlier, later in zip(server.calls, server.calls[1:], strict=False)]
    assert [pause >= least for pause, least in zip(pauses, (0.02, 0.06, 0.18, 0.54), strict=True)] == [True] * 4
    assert sum(pauses) < 5


async def test_a_time_that_the_failure_names_is_kept() -> None:
    server = Server(ProviderError("Slow down.", kind="rate_limit", retryable=True, retry_after=0.2), "pong")
    await quick().run(server)
    assert 0.19 <= server.calls[1] - server.calls[0] < 5


async def test_a_time_that_is_too_late_is_not_waited_for() -> None:
    server = Server(ServiceError("Closed until tomorrow.", retry_after=86_400), "never")
    with pytest.raises(ServiceError, match="until tomorrow"):
        await quick().run(server)
    assert len(server.calls) == 1


async def test_without_limits_it_goes_on_and_remembers_one_failure_only() -> None:
    failures = [ServiceError(str(number)) for number in range(50)]
    handler = ErrorHandler(None, 1, None, first_pause=0)
    assert await handler.run(Server(*failures, "stored")) == "stored"
    known: list[Exception] = []
    tries = handler._tries(known)
    server = Server(*failures, "stored")
    async for attempt in tries:
        with attempt:
            await server()
        assert len(known) <= 1


async def test_the_time_is_that_of_all_tries_together() -> None:
    async def hang() -> None:
        await asyncio.Event().wait()

    with pytest.raises(ServiceError, match=r"No answer within 0\.05 seconds"):
        await quick(timeout=0.05).run(hang)


async def test_when_the_time_is_up_the_failure_before_is_told() -> None:
    calls = 0

    async def fail_then_hang() -> None:
        nonlocal calls
        calls += 1
        if calls == 1:
            raise OSError("refused")
        await asyncio.Event().wait()

    with pytest.raises(OSError, match="refused"):
        await quick(timeout=0.1).run(fail_then_hang)
    assert calls == 2


async def test_who_is_cancelled_stops_trying() -> None:
    server = Server(*[OSError("refused")] * 100)
    task = asyncio.create_task(ErrorHandler(100, first_pause=10).run(server))
    while not server.calls:
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert len(server.calls) == 1


async def test_as_a_decorator_it_is_around_every_call() -> None:
    answers: list[Any] = [OSError("refused"), 1, OSError("refused"), 2]

    @quick()
    async def fetch(url: str, *, times: int) -> str:
        """Fetches."""
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return f"{url}{answer * times}"

    assert [await fetch("a", times=3), await fetch("b", times=1)] == ["a3", "b2"]
    assert fetch.__doc__ == "Fetches."


async def test_a_block_is_tried_again() -> None:
    server = Server(OSError("refused"), OSError("refused"), "pong")
    async for attempt in quick():
        with attempt:
            assert await server() == "pong"
    assert len(server.calls) == 3


async def test_one_handler_serves_many_at_once() -> None:
    handler = quick(attempts=2)
    servers = [Server(OSError("refused"), number) for number in range(50)]
    assert await asyncio.gather(*(handler.run(server) for server in servers)) == list(range(50))


async def test_the_function_calls_once() -> None:
    server = Server(OSError("refused"), "pong")
    assert await retry_async(server, 1, unit="s", retry_attempts=2) == ("pong", (1,), {"unit": "s"})


async def test_the_function_is_a_decorator_too() -> None:
    @retry_async(retry_attempts=1)
    async def once() -> None:
        raise OSError("refused")

    with pytest.raises(OSError, match="refused"):
        await once()


async def test_a_breaker_inside_is_waited_for_while_there_is_time() -> None:
    breaker = CircuitBreaker("Redis", failures=1, seconds=0.05)
    server = Server(OSError("refused"), "pong")
    assert await quick(attempts=5).run(breaker.call, server) == "pong"
    assert len(server.calls) == 2


async def test_it_is_as_the_settings_have_it() -> None:
    server = Server(OSError("first"), OSError("second"))
    with pytest.raises(OSError, match="first"):
        await ErrorHandler.of(ServiceSettings(retry_attempts=1)).run(server)


@pytest.mark.parametrize("wrong", [{"retry_attempts": 0}, {"backoff_factor": 0.5}, {"timeout": 0}])
def test_a_value_that_makes_no_sense_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="attempts and factor are at least 1"):
        ErrorHandler(**wrong)


async def test_no_argument_and_no_text_of_an_error_is_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        await quick().run(Server(OSError("postgres://user:hunter2@host"), "pong"), "a secret")
    assert "retry.scheduled: try 1 failed (OSError)" in caplog.text
    assert "hunter2" not in caplog.text
    assert "a secret" not in caplog.text


def test_importing_it_does_not_import_what_is_underneath() -> None:
    program = "import sys, antiphon.runtime.retry as r; r.ErrorHandler(); print('stamina' in sys.modules)"
    shown = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert shown.stdout.strip() == "False"
