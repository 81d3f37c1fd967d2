"""No fill brings back what a change has replaced: every order of the steps, deterministically, on memory and Redis."""

from collections.abc import AsyncIterator
from itertools import combinations

import pytest

from antiphon.cache.base import CacheBackend
from antiphon.cache.memory import CacheManager, MemoryBackend
from antiphon.cache.mirror import CHANGING, READING, UNSETTLED, Glance, Mirror
from antiphon.cache.redis import RedisBackend
from antiphon.domain import new_id
from antiphon.runtime.clock import ManualClock


class Failing(MemoryBackend):
    """A memory that can be cut off, as a Redis in an outage is behind `SoftBackend`."""

    def __init__(self, memory: CacheManager) -> None:
        super().__init__(memory)
        self.gone = False
        self.full = False
        self.exchanges: list[str] = []

    async def get(self, *keys: str) -> list[bytes | None]:
        self.exchanges.append("get")
        return [None] * len(keys) if self.gone else await super().get(*keys)

    async def set(self, key: str, value: bytes, ttl: float) -> bool:
        self.exchanges.append("set")
        return not (self.gone or self.full) and await super().set(key, value, ttl)

    async def swap(self, key: str, old: bytes | None, new: bytes, ttl: float) -> bool:
        self.exchanges.append("swap")
        return not (self.gone or self.full) and await super().swap(key, old, new, ttl)

    async def delete(self, *keys: str) -> bool:
        self.exchanges.append("delete")
        return not self.gone and await super().delete(*keys)

    async def clear(self) -> bool:
        self.exchanges.append("clear")
        return not self.gone and await super().clear()


@pytest.fixture(params=["memory", "redis"])
async def backend(request: pytest.FixtureRequest) -> AsyncIterator[CacheBackend]:
    if request.param == "memory":
        yield MemoryBackend(CacheManager())
        return
    made = RedisBackend(request.getfixturevalue("redis_url"), prefix=f"test-{new_id()}", timeout=10)
    yield made
    await made.clear()
    await made.stop()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def failing(clock: ManualClock) -> Failing:
    return Failing(CacheManager(clock=clock))


def mirror(backend: CacheBackend, clock: ManualClock | None = None, ttl: float = 3600.0) -> Mirror:
    """Another one on the same backend is another process."""
    return Mirror(backend, ttl, now=(clock or ManualClock()).monotonic)


async def row(reader: Mirror, key: str = "k") -> bytes | None:
    (glance,) = await reader.look(key)
    return glance.row


async def test_what_was_learnt_is_seen_by_all(backend: CacheBackend) -> None:
    here, there = mirror(backend), mirror(backend)
    (glance,) = await here.look("k")
    assert (glance.row, glance.token is None) == (None, False)
    await here.learn(glance, b"row")
    assert await row(here) == await row(there) == b"row"


async def test_only_one_of_those_who_read_keeps_it(backend: CacheBackend) -> None:
    (first,), (second,) = await mirror(backend).look("k"), await mirror(backend).look("k")
    assert first.token is not None
    assert second.token is None
    await mirror(backend).learn(second, b"second")
    await mirror(backend).learn(first, b"first")
    assert await row(mirror(backend)) == b"first"


@pytest.mark.parametrize("filled", list(combinations(range(4), 2)), ids=str)
async def test_a_fill_never_undoes_a_change(backend: CacheBackend, filled: tuple[int, int]) -> None:
    """Looking (with the reading right behind it) and filling in each pair of places between the steps of a change."""
    reader, writer, stored = mirror(backend), mirror(backend), b"old"
    looked, learnt = filled
    glance, read = Glance("k"), b""

    async def reach(step: int) -> None:
        nonlocal glance, read
        if step == looked:
            (glance,) = await reader.look("k")
            read = stored
        if step == learnt:
            await reader.learn(glance, read)

    await reach(0)
    change = writer.changing("k")
    await change.__aenter__()
    await reach(1)
    stored = b"new"
    await reach(2)
    await change.__aexit__(None, None, None)
    await reach(3)
    assert await row(reader) in {None, b"new"}


async def test_a_fill_that_was_forgotten_for_an_hour(failing: Failing, clock: ManualClock) -> None:
    reader = mirror(failing)
    (glance,) = await reader.look("k")
    async with mirror(failing).changing("k"):
        pass
    await clock.advance(10 * CHANGING)
    await reader.learn(glance, b"old")
    assert await row(mirror(failing)) is None


async def test_who_dies_while_reading_keeps_others_from_it_for_a_while(failing: Failing, clock: ManualClock) -> None:
    await mirror(failing).look("k")
    assert (await mirror(failing).look("k"))[0].token is None
    await clock.advance(READING + 1)
    assert (await mirror(failing).look("k"))[0].token is not None


async def test_a_change_that_dies_half_way(failing: Failing, clock: ManualClock) -> None:
    """The store may have carried it out, and nobody is left to say so."""
    reader = mirror(failing)
    (glance,) = await reader.look("k")
    await reader.learn(glance, b"old")
    await mirror(failing).changing("k").__aenter__()
    (glance,) = await reader.look("k")
    assert (glance.row, glance.token) == (None, None)
    await clock.advance(CHANGING + 1)
    assert (await reader.look("k"))[0].token is not None


async def test_a_change_that_fails_may_have_happened(failing: Failing) -> None:
    reader = mirror(failing)
    with pytest.raises(OSError, match="lost at the commit"):
        async with mirror(failing).changing("k"):
            raise OSError("lost at the commit")
    assert (await reader.look("k"))[0].token is None


async def test_two_changes_at_once(failing: Failing) -> None:
    one, other = mirror(failing).changing("k"), mirror(failing).changing("k")
    await one.__aenter__()
    await other.__aenter__()
    await one.__aexit__(None, None, None)
    (glance,) = await mirror(failing).look("k")  # reads what the first has stored
    await other.__aexit__(None, None, None)
    await mirror(failing).learn(glance, b"first")
    assert await row(mirror(failing)) is None


async def test_a_cache_that_could_not_be_told_is_told_when_it_is_back(failing: Failing) -> None:
    mine = mirror(failing)
    (glance,) = await mine.look("k")
    await mine.learn(glance, b"old")
    failing.gone = True
    async with mine.changing("k"):
        pass
    assert await row(mine) is None
    failing.gone = False
    assert await row(mine) is None
    assert await row(mirror(failing)) is None
    failing.exchanges.clear()
    await mine.look("k")
    assert failing.exchanges == ["get"]


async def test_a_change_during_the_telling_is_told_too(failing: Failing) -> None:
    mine = mirror(failing)
    failing.gone = True
    async with mine.changing("k"):
        pass
    failing.gone = False
    tell, told = failing.delete, []

    async def delete(*keys: str) -> bool:
        told.append(keys)
        if len(told) == 1:
            mine._unsettle(("k",))
        return await tell(*keys)

    failing.delete = delete  # type: ignore[method-assign]
    (glance,) = await mine.look("k")
    assert glance.token is None
    await mine.look("k")
    assert told == [("k",), ("k",)]


async def test_more_changes_than_can_be_remembered(failing: Failing) -> None:
    mine = mirror(failing)
    (glance,) = await mine.look("old")
    await mine.learn(glance, b"old")
    failing.gone = True
    for number in range(UNSETTLED + 1):
        await mine.forget(str(number))
    await mine.forget("old")
    assert len(mine._unsettled) <= UNSETTLED
    assert await row(mine, "old") is None
    failing.gone = False
    assert await row(mine, "old") is None
    assert failing.exchanges[-3:] == ["clear", "get", "swap"]


async def test_a_full_cache_lets_go(failing: Failing) -> None:
    mine = mirror(failing)
    (glance,) = await mine.look("k")
    await mine.learn(glance, b"old")
    failing.full = True
    async with mirror(failing).changing("k"):
        assert await row(mine) is None
    assert await row(mine) is None


async def test_rows_live_for_as_long_as_they_are_looked_at(failing: Failing, clock: ManualClock) -> None:
    mine = mirror(failing, clock, ttl=100)
    (glance,) = await mine.look("k")
    await mine.learn(glance, b"row")
    for _ in range(20):
        await clock.advance(89)
        assert await row(mine) == b"row"
    await clock.advance(101)
    assert await row(mine) is None


async def test_looking_writes_once_in_a_tenth_of_the_lifetime(failing: Failing, clock: ManualClock) -> None:
    mine = mirror(failing, clock, ttl=100)
    (glance,) = await mine.look("k")
    await mine.learn(glance, b"row")
    failing.exchanges.clear()
    for _ in range(100):
        await clock.advance(0.5)
        await mine.look("k")
    assert failing.exchanges.count("swap") == 4


async def test_a_touch_does_not_bring_back_what_was_changed_meanwhile(failing: Failing, clock: ManualClock) -> None:
    mine = mirror(failing, clock, ttl=100)
    (glance,) = await mine.look("k")
    await mine.learn(glance, b"old")
    (seen,) = await failing.get("k")
    assert seen is not None
    async with mirror(failing).changing("k"):
        pass
    await clock.advance(50)
    await mine._touch("k", seen)
    assert await row(mine) is None


@pytest.mark.parametrize("entry", [b"", b"garbage", b"=", b"=1234567", b"\xff" * 30])
async def test_what_somebody_else_wrote_is_replaced(backend: CacheBackend, entry: bytes) -> None:
    mine = mirror(backend)
    await backend.set("k", entry, 100)
    (glance,) = await mine.look("k")
    assert glance.row is None
    await mine.learn(glance, b"row")
    assert await row(mine) == b"row"


async def test_several_rows_are_one_exchange(failing: Failing) -> None:
    mine = mirror(failing)
    for glance in await mine.look("a", "b"):
        await mine.learn(glance, glance.key.encode())
    failing.exchanges.clear()
    assert [glance.row for glance in await mine.look("b", "a")] == [b"b", b"a"]
    assert failing.exchanges == ["get"]


async def test_a_change_while_everything_is_cleared_is_told_too(failing: Failing) -> None:
    mine = mirror(failing)
    failing.gone = True
    for number in range(UNSETTLED + 1):
        await mine.forget(str(number))
    failing.gone = False
    clear, cleared = failing.clear, []

    async def overtaken() -> bool:
        cleared.append(await clear())
        if len(cleared) == 1:
            failing.gone = True
            await mine.forget("k")
            failing.gone = False
        return True

    failing.clear = overtaken  # type: ignore[method-assign]
    assert [glance.token for glance in await mine.look("k")] == [None]
    assert [glance.token is not None for glance in await mine.look("k")] == [True]
    assert cleared == [True, True]
