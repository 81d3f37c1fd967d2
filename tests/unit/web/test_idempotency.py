"""What is asked again is answered again, and done once: in one process, and in two that share a Redis."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from starlette.exceptions import HTTPException

from antiphon.cache.cache import Cache
from antiphon.errors import ServiceError
from antiphon.web import idempotency as module
from antiphon.web.idempotency import Idempotency
from tests.redis_server import RedisServer


class Done:
    """Counts how often it was done."""

    def __init__(self) -> None:
        self.times = 0

    def __call__(self) -> bytes:
        self.times += 1
        return b'{"times": %d}' % self.times


@pytest.fixture(params=["memory", "redis"])
async def processes(request: pytest.FixtureRequest) -> AsyncIterator[tuple[Idempotency, Idempotency]]:
    """Two that share what they keep."""
    if request.param == "memory":
        alone = Idempotency(Cache())
        yield alone, alone
        return
    with RedisServer() as redis:
        caches = Cache("redis", url=redis.url), Cache("redis", url=redis.url)
        yield Idempotency(caches[0]), Idempotency(caches[1])
        for cache in caches:
            await cache.stop()


async def test_the_same_again_is_the_same_answer(processes: tuple[Idempotency, Idempotency]) -> None:
    done = Done()
    for process in (*processes, *processes):
        assert await process.once("k", "ada", b"body", done) == b'{"times": 1}'
    assert await processes[1].once("other", "ada", b"body", done) == b'{"times": 2}'
    assert await processes[1].once("k", "bob", b"body", done) == b'{"times": 3}', "keys are each person's own"
    with pytest.raises(HTTPException, match="another body") as refused:
        await processes[1].once("k", "ada", b"changed", done)
    assert (refused.value.status_code, done.times) == (409, 3)


async def test_of_many_at_the_same_time_one_is_done(processes: tuple[Idempotency, Idempotency]) -> None:
    done = Done()
    answers = await asyncio.gather(
        *(processes[number % 2].once("k", "ada", b"body", done) for number in range(50)), return_exceptions=True
    )
    assert done.times == 1
    told = [answer for answer in answers if isinstance(answer, bytes)]
    assert set(told) == {b'{"times": 1}'}
    assert {answer.status_code for answer in answers if isinstance(answer, HTTPException)} <= {409}


async def test_one_that_died_meanwhile_holds_the_key_for_a_while_only(
    processes: tuple[Idempotency, Idempotency], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BEGUN_SECONDS", 0.3)
    done = Done()

    def die() -> bytes:
        raise RuntimeError("the process ends here")

    with pytest.raises(RuntimeError):
        await processes[0].once("k", "ada", b"body", die)
    with pytest.raises(HTTPException, match="not answered yet"):
        await processes[1].once("k", "ada", b"body", done)
    async with asyncio.timeout(10):
        while done.times == 0:
            try:
                await processes[1].once("k", "ada", b"body", done)
            except HTTPException:
                await asyncio.sleep(0.02)
    assert done.times == 1


async def test_without_a_cache_nothing_is_done_rather_than_twice() -> None:
    with RedisServer() as redis:
        cache = Cache("redis", url=redis.url)
        guard, done = Idempotency(cache), Done()
        assert await guard.once("k", "ada", b"body", done) == b'{"times": 1}'
        redis.kill()
        with pytest.raises(ServiceError, match="could be done twice"):
            await guard.once("k", "ada", b"body", done)
        assert done.times == 1
        await cache.stop()
