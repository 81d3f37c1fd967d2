"""`@cache_result` on functions of every kind."""

import asyncio
import gc
import inspect
import threading
import weakref
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from antiphon.cache import cache
from antiphon.cache.cache import Cache, get_cache
from antiphon.cache.decorator import cache_result
from antiphon.errors import ValidationError
from antiphon.runtime.clock import ManualClock


@pytest.fixture(autouse=True)
def current() -> Iterator[Cache]:
    """A cache that nobody else uses is the current one."""
    made = Cache()
    before = cache._current
    cache._current = type(before)(lambda: made)
    yield made
    cache._current = before


def test_the_sample_of_the_document() -> None:
    calls = []

    @cache_result(ttl=300)
    def expensive_function(param: int) -> int:
        """Of the document."""
        calls.append(param)
        return param * 2

    assert [expensive_function(2), expensive_function(2), expensive_function(3)] == [4, 4, 6]
    assert calls == [2, 3]
    assert expensive_function.__doc__ == "Of the document."
    assert expensive_function.cache_stats().hits == 1
    assert expensive_function.cache_stats().misses == 2


def test_a_result_ends_with_its_time(current: Cache) -> None:
    clock, calls = ManualClock(), []
    current.memory._clock = clock

    @cache_result(ttl=300)
    def work() -> int:
        calls.append(1)
        return len(calls)

    assert work() == work() == 1
    clock._now = 299.9
    assert work() == 1
    clock._now = 300.0
    assert work() == 2


def test_none_is_a_result_and_an_error_is_not() -> None:
    calls: list[int] = []

    @cache_result()
    def work(fail: bool) -> None:
        calls.append(1)
        if fail:
            raise ValueError(len(calls))

    work(False)
    work(False)
    assert len(calls) == 1
    for _ in range(2):
        with pytest.raises(ValueError, match=str(len(calls) + 1)):
            work(True)


async def test_a_hundred_callers_compute_once() -> None:
    calls = []

    @cache_result(ttl=300)
    async def work(name: str) -> list[str]:
        calls.append(name)
        await asyncio.sleep(0)
        return [name]

    assert inspect.iscoroutinefunction(work)
    results = await asyncio.gather(*(work("a") for _ in range(100)))
    assert calls == ["a"]
    assert all(result is results[0] for result in results)
    assert await work("a") is results[0]


def test_threads_compute_once() -> None:
    calls, go = [], threading.Event()

    @cache_result(ttl=300)
    def work() -> int:
        calls.append(1)
        go.wait(20)
        return len(calls)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    go.set()
    for thread in threads:
        thread.join()
    assert work() == 1


async def test_the_first_caller_gives_up() -> None:
    begun, go = asyncio.Event(), asyncio.Event()

    @cache_result(ttl=300)
    async def work() -> str:
        begun.set()
        await go.wait()
        return "done"

    first, second = asyncio.create_task(work()), asyncio.create_task(work())
    await begun.wait()
    first.cancel()
    await asyncio.sleep(0)
    go.set()
    assert await second == "done"
    assert first.cancelled()


async def test_clearing_forgets_also_what_is_under_way() -> None:
    go, calls = asyncio.Event(), []

    @cache_result(ttl=300)
    async def work() -> int:
        calls.append(1)
        mine = len(calls)
        await go.wait()
        return mine

    before = asyncio.create_task(work())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    work.cache_clear()
    go.set()
    after = await work()
    assert (await before, after) == (1, 2)
    assert await work() == 2


def test_clearing_one_leaves_the_others(current: Cache) -> None:
    @cache_result()
    def one() -> object:
        return object()

    @cache_result()
    def other() -> object:
        return object()

    first, second = one(), other()
    current.memory.set("mine", 1)
    one.cache_clear()
    assert one() is not first
    assert other() is second
    assert current.memory.get("mine") == 1


class Shop:
    def __init__(self, factor: int) -> None:
        self.factor, self.calls = factor, 0

    @cache_result(ttl=300)
    def price(self, item: int) -> int:
        self.calls += 1
        return item * self.factor

    @cache_result(ttl=300)
    async def later(self, item: int) -> int:
        self.calls += 1
        return item * self.factor

    @classmethod
    @cache_result(ttl=300)
    def name(cls) -> str:
        return cls.__name__

    @staticmethod
    @cache_result(ttl=300)
    def twice(item: int) -> int:
        return 2 * item


class Branch(Shop):
    pass


async def test_each_instance_has_its_own_results() -> None:
    cheap, dear = Shop(1), Shop(10)
    assert [cheap.price(3), dear.price(3), cheap.price(3), dear.price(3)] == [3, 30, 3, 30]
    assert [await cheap.later(3), await dear.later(3), await cheap.later(3)] == [3, 30, 3]
    assert (cheap.calls, dear.calls) == (2, 2)
    names = [shop.name() for shop in (Shop, Branch, Shop)]  # type: ignore[call-arg]  # mypy does not bind a class
    assert names == ["Shop", "Branch", "Shop"]
    assert Shop.twice(2) == cheap.twice(2) == 4


def test_an_instance_is_not_kept_alive_by_its_results() -> None:
    shop = Shop(1)
    shop.price(1)
    gone = weakref.ref(shop)
    del shop
    gc.collect()
    assert gone() is None


def test_arguments_that_cannot_be_compared_are_computed_each_time() -> None:
    calls = []

    @cache_result()
    def size(data: Any) -> int:
        calls.append(1)
        return len(data)

    assert [size([1, 2]), size([1, 2]), size({"a": [1]})] == [2, 2, 1]
    assert len(calls) == 2
    assert [size(bytearray(2)), size(bytearray(2))] == [2, 2]
    assert len(calls) == 4
    assert size.cache_stats().uncacheable == 2


async def test_such_arguments_of_a_coroutine() -> None:
    @cache_result()
    async def size(data: Any) -> int:
        return len(data)

    assert [await size(bytearray(2)), await size(bytearray(3))] == [2, 3]


def test_what_gives_its_results_one_by_one_is_refused() -> None:
    def several() -> Iterator[int]:
        yield 1

    async def slowly() -> AsyncIterator[int]:
        yield 1

    for function in (several, slowly):
        with pytest.raises(ValidationError, match="one by one"):
            cache_result(ttl=1)(function)


def test_a_decorator_without_its_brackets_is_refused() -> None:
    with pytest.raises(ValidationError, match="number of seconds"):
        cache_result(lambda: 1)  # type: ignore[arg-type]


def test_results_move_with_the_current_cache() -> None:
    @cache_result()
    def work() -> object:
        return object()

    mine = Cache()
    cache.adopt(mine)
    assert get_cache() is mine
    assert work() is work()
    assert mine.memory.stats().size == 1
    cache.release(mine)
