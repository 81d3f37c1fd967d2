"""Group commit: what is queued together is committed together, and fails alone."""

import asyncio
import gc
import sqlite3
import weakref
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from functools import partial
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from antiphon.errors import ServiceError, ValidationError
from antiphon.storage.sql.unit import Unit, many, one, run
from antiphon.storage.sqlite import lane as module
from antiphon.storage.sqlite.lane import Lane, WriteLane
from antiphon.telemetry.metrics import Metrics

STATEMENTS = {
    "add": "INSERT INTO things (id) VALUES (:id)",
    "count": "SELECT count(*) FROM things",
    "fill": "INSERT INTO things (id, data) VALUES (:id, zeroblob(:size))",
    "note": "INSERT INTO notes (things) SELECT count(*) FROM things",
    "noted": "SELECT things FROM notes",
}


class Recorded(sqlite3.Connection):
    """A connection that remembers where transactions begin and end."""

    log: list[str]

    def execute(self, sql: str, *more: Any) -> sqlite3.Cursor:
        if sql in {"BEGIN", "BEGIN IMMEDIATE", "COMMIT", "ROLLBACK"}:
            self.log.append(sql)
        return super().execute(sql, *more)


@pytest.fixture
def connection(tmp_path: Path) -> Recorded:
    made = sqlite3.connect(
        tmp_path / "a.db", isolation_level=None, check_same_thread=False, factory=Recorded, timeout=0.05
    )
    made.execute("PRAGMA journal_mode = WAL")
    made.execute("CREATE TABLE things (id INTEGER PRIMARY KEY, data BLOB)")
    made.execute("CREATE TABLE notes (things)")
    made.log = []
    return made


@pytest.fixture
async def lane(connection: Recorded) -> AsyncIterator[WriteLane]:
    made = WriteLane("test", STATEMENTS, "a.db", limit=400, upkeep="note", checkpoint_seconds=60)
    made.start([connection])
    yield made
    await made.stop()


def add(number: int) -> partial[Unit[None]]:
    return partial(run, "add", id=number)


def held(entered: Event, leave: Event) -> Unit[None]:
    """Keeps the thread busy inside a transaction until it may go on."""
    yield "count", {}
    entered.set()
    leave.wait(10)


async def holding(lane: Lane) -> tuple[asyncio.Future[Any], Event]:
    entered, leave = Event(), Event()
    task = asyncio.ensure_future(lane.run(partial(held, entered, leave)))
    await asyncio.to_thread(entered.wait, 10)
    return task, leave


def rows(tmp_path: Path) -> list[int]:
    with closing(sqlite3.connect(tmp_path / "a.db")) as other:
        return [row[0] for row in other.execute("SELECT id FROM things ORDER BY id")]


async def test_what_is_queued_meanwhile_is_one_transaction(lane: WriteLane, connection: Recorded) -> None:
    task, leave = await holding(lane)
    jobs = [asyncio.ensure_future(lane.run(add(number))) for number in range(100)]
    await asyncio.sleep(0)
    leave.set()
    await asyncio.gather(task, *jobs)
    assert connection.log == ["BEGIN IMMEDIATE", "COMMIT"]


async def test_a_group_has_a_largest_size(lane: WriteLane, connection: Recorded) -> None:
    task, leave = await holding(lane)
    jobs = [asyncio.ensure_future(lane.run(add(number))) for number in range(300)]
    await asyncio.sleep(0)
    leave.set()
    await asyncio.gather(task, *jobs)
    assert connection.log == ["BEGIN IMMEDIATE", "COMMIT"] * 2


def breaks() -> Unit[None]:
    yield "add", {"id": 1_000}
    raise LookupError("a mistake in the unit")


async def test_a_job_that_fails_takes_no_other_with_it(lane: WriteLane, connection: Recorded, tmp_path: Path) -> None:
    task, leave = await holding(lane)
    jobs: list[Callable[[], Unit[Any]]] = [add(1), add(1), breaks, add(2), partial(run, "no such statement"), add(3)]
    waiting = [asyncio.ensure_future(lane.run(job)) for job in jobs]
    await asyncio.sleep(0)
    leave.set()
    await task
    outcomes = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [
        type(None), ValidationError, LookupError, type(None), KeyError, type(None),
    ]  # fmt: skip
    assert rows(tmp_path) == [1, 2, 3]
    assert connection.log == ["BEGIN IMMEDIATE", "COMMIT"]


async def test_the_first_job_of_a_group_fails_without_those_behind_it(lane: WriteLane, tmp_path: Path) -> None:
    await lane.run(add(1))
    entered, leave = Event(), Event()

    def half() -> Unit[None]:
        yield "add", {"id": 2}
        yield from held(entered, leave)
        yield "add", {"id": 1}

    first = asyncio.ensure_future(lane.run(half))
    await asyncio.to_thread(entered.wait, 10)
    behind = [asyncio.ensure_future(lane.run(add(number))) for number in (3, 1, 4)]
    await asyncio.sleep(0)
    leave.set()
    outcomes = await asyncio.gather(first, *behind, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [ValidationError, type(None), ValidationError, type(None)]
    assert rows(tmp_path) == [1, 3, 4]


async def test_a_lone_job_that_fails_leaves_nothing(lane: WriteLane, connection: Recorded, tmp_path: Path) -> None:
    await lane.run(add(1))
    with pytest.raises(ValidationError):
        await lane.run(add(1))
    await lane.run(add(2))
    assert rows(tmp_path) == [1, 2]
    assert not connection.in_transaction


async def test_when_a_whole_group_is_lost_each_job_gets_its_own_outcome(
    lane: WriteLane, connection: Recorded, tmp_path: Path
) -> None:
    """A transaction that SQLite rolls back by itself, as it does when the disk is full."""

    def lost() -> Unit[None]:
        yield "add", {"id": 7}
        connection.execute("ROLLBACK")
        raise sqlite3.OperationalError("database or disk is full")

    task, leave = await holding(lane)
    waiting = [asyncio.ensure_future(lane.run(job)) for job in (add(1), lost, add(2))]
    await asyncio.sleep(0)
    leave.set()
    await task
    outcomes = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [type(None), ServiceError, type(None)]
    assert rows(tmp_path) == [1, 2]


async def test_a_commit_that_fails_is_nobodys_success(lane: WriteLane, connection: Recorded, tmp_path: Path) -> None:
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("CREATE TABLE parts (of INTEGER REFERENCES things (id) DEFERRABLE INITIALLY DEFERRED)")

    def orphan() -> Unit[None]:
        connection.execute("INSERT INTO parts VALUES (99)")
        yield "add", {"id": 5}

    task, leave = await holding(lane)
    waiting = [asyncio.ensure_future(lane.run(job)) for job in (add(1), orphan, add(2))]
    await asyncio.sleep(0)
    leave.set()
    await task
    outcomes = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [type(None), ValidationError, type(None)]
    assert rows(tmp_path) == [1, 2]


async def test_a_full_disk_fails_what_does_not_fit_and_heals_by_itself(
    lane: WriteLane, connection: Recorded, tmp_path: Path
) -> None:
    def large(number: int) -> Unit[None]:
        yield "fill", {"id": number, "size": 4_000_000}

    connection.execute("PRAGMA max_page_count = 200")
    task, leave = await holding(lane)
    waiting = [asyncio.ensure_future(lane.run(job)) for job in (add(1), partial(large, 2), add(3))]
    await asyncio.sleep(0)
    leave.set()
    await task
    outcomes = await asyncio.gather(*waiting, return_exceptions=True)
    assert isinstance(outcomes[1], ServiceError)
    assert "free some space" in str(outcomes[1])
    assert outcomes[1].retryable
    assert rows(tmp_path) == [1, 3]
    connection.execute("PRAGMA max_page_count = 100000")
    await lane.run(partial(large, 2))
    assert rows(tmp_path) == [1, 2, 3]


async def test_what_waits_fails_and_is_grouped_is_counted(connection: Recorded) -> None:
    metrics = Metrics()
    lane = WriteLane("counted", STATEMENTS, "a.db", limit=10, upkeep="note", checkpoint_seconds=60, metrics=metrics)
    lane.start([connection])
    task, leave = await holding(lane)
    waiting = [asyncio.ensure_future(lane.run(job)) for job in (add(1), add(1))]
    await asyncio.sleep(0)
    assert b'antiphon_store_waiting{lane="counted"} 3.0' in metrics.render()
    leave.set()
    await asyncio.gather(task, *waiting, return_exceptions=True)
    await lane.stop()
    page = metrics.render()
    assert b'antiphon_store_waiting{lane="counted"} 0.0' in page
    assert b'antiphon_store_failures_total{lane="counted"} 1.0' in page
    assert b'antiphon_store_seconds_count{lane="counted"} 3.0' in page
    assert b"antiphon_store_group_units_sum 3.0" in page


async def test_a_full_queue_refuses_at_once_and_recovers(lane: WriteLane) -> None:
    task, leave = await holding(lane)
    jobs = [asyncio.ensure_future(lane.run(add(number))) for number in range(399)]
    await asyncio.sleep(0)
    with pytest.raises(ServiceError, match="try again in a moment"):
        await lane.run(add(999))
    leave.set()
    await asyncio.gather(task, *jobs)
    await lane.run(add(1_000))


async def test_stop_carries_out_what_is_queued_and_refuses_the_rest(lane: WriteLane, tmp_path: Path) -> None:
    task, leave = await holding(lane)
    jobs = [asyncio.ensure_future(lane.run(add(number))) for number in range(300)]
    await asyncio.sleep(0)
    stopping = asyncio.ensure_future(lane.stop())
    await asyncio.sleep(0)
    with pytest.raises(ServiceError, match="closed"):
        await lane.run(add(999))
    leave.set()
    await stopping
    assert all(job.done() for job in [task, *jobs])
    assert len(rows(tmp_path)) == 300


async def test_another_writer_is_waited_for_and_then_named(
    lane: WriteLane, connection: Recorded, tmp_path: Path
) -> None:
    with closing(sqlite3.connect(tmp_path / "a.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(ServiceError, match="close that program"):
            await lane.run(add(1))
        other.execute("COMMIT")
    await lane.run(add(2))
    assert rows(tmp_path) == [2]


async def test_quiet_writes_the_log_back(connection: Recorded, tmp_path: Path) -> None:
    lane = WriteLane("test", STATEMENTS, "a.db", limit=10, upkeep="note", checkpoint_seconds=0.01)
    lane.start([connection])
    await lane.run(add(1))
    before = (tmp_path / "a.db").stat().st_size
    async with asyncio.timeout(10):
        while (tmp_path / "a.db").read_bytes().count(b"things") == 0 or (tmp_path / "a.db").stat().st_size < 8_192:
            await asyncio.sleep(0.005)
    assert before <= (tmp_path / "a.db").stat().st_size
    await lane.run(add(2))
    await lane.stop()


async def test_readers_see_one_moment_and_never_wait_for_the_writer(lane: WriteLane, tmp_path: Path) -> None:
    reader = sqlite3.connect(tmp_path / "a.db", isolation_level=None, check_same_thread=False)
    readers = Lane("reader", STATEMENTS, "a.db", limit=10)
    readers.start([reader])
    between, go_on = Event(), Event()

    def twice() -> Unit[tuple[int, int]]:
        first = yield from one("count")
        between.set()
        go_on.wait(10)
        second = yield from one("count")
        assert first is not None
        assert second is not None
        return first[0], second[0]

    counting = asyncio.ensure_future(readers.run(twice))
    await asyncio.to_thread(between.wait, 10)
    await lane.run(add(1))
    go_on.set()
    assert await counting == (0, 0)
    task, leave = await holding(lane)
    assert (await readers.run(partial(one, "count")))[0] == 1
    leave.set()
    await task
    await readers.stop()


def test_a_loop_that_has_gone_is_no_crash(connection: Recorded, tmp_path: Path) -> None:
    """A program that forgot to stop its store still ends, and its work is done."""
    lane = WriteLane("test", STATEMENTS, "a.db", limit=10, upkeep="note", checkpoint_seconds=60)
    entered, leave = Event(), Event()

    async def forget() -> None:
        lane.start([connection])
        waiting = [asyncio.ensure_future(lane.run(job)) for job in (partial(held, entered, leave), add(1))]
        await asyncio.to_thread(entered.wait, 10)
        for one_of_them in waiting:
            one_of_them.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)

    asyncio.run(forget())
    leave.set()
    asyncio.run(lane.stop())
    assert rows(tmp_path) == [1]


# --- what is put off ----------------------------------------------------------------------------------------------


async def noted(lane: WriteLane) -> list[int]:
    return [row[0] for row in await lane.run(partial(many, "noted"))]


async def test_what_was_put_off_is_done_when_it_is_quiet(lane: WriteLane, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "QUIET_SECONDS", 0.01)
    await asyncio.gather(*(lane.run(add(number)) for number in range(5)))
    async with asyncio.timeout(10):
        while 5 not in await noted(lane):
            await asyncio.sleep(0.02)


async def test_a_writer_that_is_never_idle_does_what_was_put_off_all_the_same(
    lane: WriteLane, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "QUIET_SECONDS", 3600)
    monkeypatch.setattr(module, "BUSY_UNITS", 20)
    for number in range(50):
        await lane.run(add(number))
    assert await noted(lane) == [20, 40]


async def test_who_writes_nothing_has_put_off_nothing(
    lane: WriteLane, connection: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "QUIET_SECONDS", 0.001)
    statements = list[str]()
    connection.set_trace_callback(statements.append)
    await lane.run(add(1))
    async with asyncio.timeout(10):
        while not any("INTO notes" in statement for statement in statements):
            await asyncio.sleep(0.001)
    await asyncio.sleep(0.05)  # many times the quiet that it waits for
    assert sum("INTO notes" in statement for statement in statements) == 1


async def test_what_was_put_off_and_fails_stops_nobody(
    lane: WriteLane, connection: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BUSY_UNITS", 1)
    connection.execute("DROP TABLE notes")
    for number in range(3):
        await lane.run(add(number))
    assert await lane.run(partial(many, "count")) == [(3,)]


async def test_a_thread_that_waits_keeps_nothing_of_what_it_did(lane: WriteLane) -> None:
    class Thing: ...

    thing = Thing()
    gone = weakref.ref(thing)

    def keep(thing: Thing = thing) -> Unit[None]:
        del thing
        yield "count", {}

    await lane.run(keep)
    del thing, keep
    async with asyncio.timeout(10):
        while gone() is not None:
            await asyncio.sleep(0.001)
            gc.collect()
