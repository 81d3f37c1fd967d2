"""The finder over sources that are slow, broken or hostile: the others answer."""

import asyncio
from collections.abc import MutableMapping
from typing import Any

import pytest

from antiphon.errors import ConfigError, ServiceError, ValidationError
from antiphon.search.base import Passage
from antiphon.search.finder import Finder
from antiphon.telemetry.metrics import Metrics


class Shelf:
    """A source that answers with its texts and remembers what it was asked."""

    def __init__(self, name: str, *texts: str) -> None:
        self.name = name
        self.texts = texts
        self.asked: list[tuple[str, str, int, str | None]] = []

    async def find(self, person_id: str, query: str, *, limit: int, exclude: str | None = None) -> list[Passage]:
        self.asked.append((person_id, query, limit, exclude))
        return [Passage(source=self.name, id=str(n), title="", text=text) for n, text in enumerate(self.texts)]


class Broken(Shelf):
    async def find(self, person_id: str, query: str, *, limit: int, exclude: str | None = None) -> list[Passage]:
        raise RuntimeError(f"{person_id} asked {query} for {limit} without {exclude}")


class Stuck(Shelf):
    cancelled = False

    async def find(self, person_id: str, query: str, *, limit: int, exclude: str | None = None) -> list[Passage]:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.cancelled = True
            raise
        return await super().find(person_id, query, limit=limit, exclude=exclude)


async def test_all_are_asked_and_the_best_of_each_come_first() -> None:
    finder = Finder([Shelf("a", "a1", "a2"), Shelf("b", "b1", "b2")], metrics=Metrics())
    found = await finder.find("ada", "word")
    assert [item.text for item in found.items] == ["a1", "b1", "a2", "b2"]
    assert found.left_out == ()
    assert finder.names == ("a", "b")
    assert [item.text for item in (await finder.find("ada", "word", limit=3)).items] == ["a1", "b1", "a2"]


async def test_they_are_asked_at_the_same_time() -> None:
    class Meeting(Shelf):
        async def find(self, person_id: str, query: str, *, limit: int, exclude: str | None = None) -> list[Passage]:
            await both.wait()
            return await super().find(person_id, query, limit=limit, exclude=exclude)

    both = asyncio.Barrier(2)
    found = await Finder([Meeting("a", "a1"), Meeting("b", "b1")], metrics=Metrics()).find("ada", "word")
    assert len(found.items) == 2


async def test_only_those_that_are_named_are_asked_and_each_once() -> None:
    a, b = Shelf("a", "a1"), Shelf("b", "b1")
    finder = Finder([a, b], metrics=Metrics())
    found = await finder.find("ada", "word", limit=4, sources=["b", "b"], exclude="c1")
    assert [item.text for item in found.items] == ["b1"]
    assert (a.asked, b.asked) == ([], [("ada", "word", 4, "c1")])


async def test_a_source_that_there_is_not_is_refused() -> None:
    finder = Finder([Shelf("a"), Shelf("b")], metrics=Metrics())
    with pytest.raises(ValidationError, match="no zebra to search in; possible are a, b") as refused:
        await finder.find("ada", "word", sources=["a", "zebra"])
    assert "zebra" not in refused.value.public


def test_two_of_one_name_are_refused() -> None:
    with pytest.raises(ConfigError, match="'a'"):
        Finder([Shelf("a"), Shelf("a")], metrics=Metrics())


async def test_one_that_fails_is_left_out_logged_and_counted(logged: list[MutableMapping[str, Any]]) -> None:
    metrics = Metrics()
    finder = Finder([Broken("broken"), Shelf("b", "b1")], metrics=metrics)
    found = await finder.find("ada", "the secret")
    assert ([item.text for item in found.items], found.left_out) == (["b1"], ("broken",))
    [event] = [event for event in logged if event["event"] == "search.left_out"]
    assert (event["source"], event["error"]) == ("broken", "RuntimeError")
    assert "secret" not in str(event)
    assert b'antiphon_search_left_out_total{source="broken"} 1.0' in metrics.render()
    assert b'antiphon_search_left_out_total{source="b"} 0.0' in metrics.render()
    assert b'antiphon_search_seconds_count{source="b"} 1.0' in metrics.render()


async def test_one_that_is_slow_is_left_out_and_told_to_stop() -> None:
    stuck = Stuck("stuck")
    finder = Finder([stuck, Shelf("b", "b1")], seconds=0.05, metrics=Metrics())
    async with asyncio.timeout(5):
        found = await finder.find("ada", "word")
    assert ([item.text for item in found.items], found.left_out) == (["b1"], ("stuck",))
    assert stuck.cancelled


async def test_none_that_answers_is_no_empty_answer() -> None:
    finder = Finder([Broken("broken"), Stuck("stuck")], seconds=0.05, metrics=Metrics())
    with pytest.raises(ServiceError, match="no answer from broken, stuck"):
        await finder.find("ada", "word")


async def test_whoever_gives_up_is_let_go_at_once() -> None:
    stuck = Stuck("stuck")
    asking = asyncio.create_task(Finder([stuck], metrics=Metrics()).find("ada", "word"))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert stuck.cancelled


async def test_one_that_answers_with_too_much_gets_no_more_room_than_the_others() -> None:
    finder = Finder([Shelf("a", *map(str, range(1_000))), Shelf("b", "b1")], metrics=Metrics())
    assert len((await finder.find("ada", "word", limit=2)).items) == 2


async def test_a_book_is_no_question() -> None:
    shelf = Shelf("a")
    await Finder([shelf], metrics=Metrics()).find("ada", "word " * 100_000)
    assert len(shelf.asked[0][1]) == 4_000
