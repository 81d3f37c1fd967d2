"""Threads that run units of work: one that writes, with group commit, and some that read beside it.

A lane is a bounded queue. When it is full, more work is refused at once (`ServiceError`): a database that cannot keep
up must not fill the memory. What has been queued is carried out, also when its caller has gone.
"""

import asyncio
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from queue import Empty, SimpleQueue
from threading import Thread
from time import monotonic
from typing import Any, NamedTuple

from antiphon.errors import ServiceError
from antiphon.storage.meter import Meter, admit
from antiphon.storage.sql.unit import Together, Unit
from antiphon.storage.sqlite.faults import translated
from antiphon.telemetry.metrics import Metrics, get_metrics

_LARGEST_GROUP = 256
"""Units in one transaction: bounds how long the first of them waits for its commit."""

QUIET_SECONDS = 0.5
"""After so long without work the writer does what was put off; a busy one does it after so many units: """
BUSY_UNITS = 1_000


class Job(NamedTuple):
    """A unit of work, as something that begins it (again), who waits for it, and since when (monotonic seconds)."""

    begin: Callable[[], Unit[Any]]
    future: "asyncio.Future[Any]"
    since: float


class Outcome(NamedTuple):
    job: Job
    value: Any
    error: Exception | None


class Bounds(NamedTuple):
    """The statements around one job of a group."""

    before: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    undo: tuple[str, ...] = ()


_FIRST = Bounds(undo=("ROLLBACK", "BEGIN IMMEDIATE"))
_LATER = Bounds(before=("SAVEPOINT job",), after=("RELEASE job",), undo=("ROLLBACK TO job", "RELEASE job"))


class Lane:
    """A queue of jobs and the threads that take from it, each with its own connection, which it closes at the end."""

    def __init__(
        self, name: str, statements: Mapping[str, str], place: str, *, limit: int, metrics: Metrics | None = None
    ) -> None:
        self._meter = Meter(name, metrics)
        self._name = name
        self._statements = statements
        self._place = place
        self._limit = limit
        self._queue: SimpleQueue[Job | None] = SimpleQueue()
        self._threads: list[Thread] = []
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def failed(self) -> ServiceError | None:
        """What a unit of work has failed of since somebody looked and found it mended."""
        return self._meter.failed

    def recovered_from(self, failed: ServiceError) -> None:
        """It is mended, unless another unit has failed meanwhile."""
        if self._meter.failed is failed:
            self._meter.failed = None

    def start(self, connections: Sequence[sqlite3.Connection]) -> None:
        self._loop = asyncio.get_running_loop()
        self._threads = [
            Thread(target=self._work, args=(connection,), name=f"{self._name}-{number}", daemon=True)
            for number, connection in enumerate(connections)
        ]
        for thread in self._threads:
            thread.start()

    async def stop(self) -> None:
        """Carries out what is queued, then ends the threads."""
        threads, self._threads = self._threads, []
        for _ in threads:
            self._queue.put(None)
        for thread in threads:
            await asyncio.to_thread(thread.join)  # not `run_async`: tools that hang may hold all of its threads

    async def run(self, begin: Callable[[], Unit[Any]]) -> Any:
        admit(self._meter.waiting, self._limit, running=bool(self._threads))
        future = asyncio.get_running_loop().create_future()
        self._meter.waiting += 1
        self._queue.put(Job(begin, future, monotonic()))
        return await future

    def _work(self, connection: sqlite3.Connection) -> None:
        while self._serve(connection):
            pass
        connection.close()  # the last connection writes the log back into the file

    def _serve(self, connection: sqlite3.Connection) -> bool:
        """Waits for work and does it, in a call of its own: nothing of it stays while the thread waits for more."""
        job = self._queue.get()
        if job is not None:
            self._answer([self._alone(connection, "BEGIN", job)])
        return job is not None

    def _alone(self, connection: sqlite3.Connection, begin: str, job: Job) -> Outcome:
        """One job as one transaction."""
        try:
            connection.execute(begin)
            value = self._perform(connection, job)
            connection.execute("COMMIT")
        except Exception as error:  # noqa: BLE001 - the caller of the job gets it
            return self._failed(connection, job, error)
        return Outcome(job, value, None)

    def _failed(self, connection: sqlite3.Connection, job: Job, error: Exception) -> Outcome:
        _roll_back(connection)
        return Outcome(job, None, translated(error, self._place))

    def _perform(self, connection: sqlite3.Connection, job: Job) -> Any:
        statements, execute = self._statements, connection.execute
        unit = job.begin()
        try:
            step = next(unit)
            while True:
                for name, values in step.steps if isinstance(step, Together) else (step,):
                    rows = execute(statements[name], values).fetchall()
                step = unit.send(rows)
        except StopIteration as end:
            return end.value

    def _answer(self, outcomes: list[Outcome]) -> None:
        """Wakes the event loop once for all of them."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._settle, outcomes)

    def _settle(self, outcomes: list[Outcome]) -> None:
        for job, value, error in outcomes:
            self._meter.settle(job.future, job.since, value, error)


class WriteLane(Lane):
    """One thread that writes. What is queued while a transaction runs is committed with it.

    Each job of such a group fails alone: the first takes the transaction with it, which holds nothing else then, and
    each later one has a savepoint (a lone job is spared its cost: SQLite keeps a copy of every page that changes).
    When the group as a whole is lost (SQLite rolls a transaction back when the disk is full), its jobs are run again
    one by one, so that each gets its own outcome.
    """

    def __init__(
        self,
        name: str,
        statements: Mapping[str, str],
        place: str,
        *,
        limit: int,
        upkeep: str,
        checkpoint_seconds: float,
        metrics: Metrics | None = None,
    ) -> None:
        """`upkeep` is a statement that is run when there is time, after something was written."""
        metrics = metrics or get_metrics()
        super().__init__(name, statements, place, limit=limit, metrics=metrics)
        self._upkeep = upkeep
        self._put_off = 0
        self._checkpoint_seconds = checkpoint_seconds
        self._sizes = metrics.histogram(
            "antiphon_store_group_units", "Units of work committed together.", buckets=(1, 2, 5, 10, 20, 50, 100, 256)
        )

    def _serve(self, connection: sqlite3.Connection) -> bool:
        job = self._next(connection)
        if job is None:
            return False
        outcomes = self._group(connection, job)
        self._sizes.observe(len(outcomes))
        self._answer(outcomes)
        self._put_off += len(outcomes)
        if self._put_off >= BUSY_UNITS:
            self._keep_up(connection)
        return True

    def _next(self, connection: sqlite3.Connection) -> Job | None:
        if self._put_off:
            with suppress(Empty):
                return self._queue.get(timeout=QUIET_SECONDS)
            self._keep_up(connection)
        with suppress(Empty):
            return self._queue.get(timeout=self._checkpoint_seconds)
        with suppress(sqlite3.Error):  # the log stays longer; whatever is wrong will meet the next job
            connection.execute("PRAGMA wal_checkpoint(PASSIVE)")
        return self._queue.get()

    def _keep_up(self, connection: sqlite3.Connection) -> None:
        self._put_off = 0
        with suppress(sqlite3.Error):  # it is put off once more, and whatever is wrong will meet the next job
            connection.execute(self._statements[self._upkeep])

    def _group(self, connection: sqlite3.Connection, first: Job) -> list[Outcome]:
        try:
            connection.execute("BEGIN IMMEDIATE")
        except sqlite3.Error as error:
            return [self._failed(connection, first, error)]
        outcomes: list[Outcome] = []
        job: Job | None = first
        try:
            while job is not None:
                outcomes.append(self._isolated(connection, job, _LATER if outcomes else _FIRST))
                job = self._following(len(outcomes))
            connection.execute("COMMIT")
        except sqlite3.Error:
            _roll_back(connection)
            jobs = [outcome.job for outcome in outcomes] + ([job] if job else [])
            return [self._alone(connection, "BEGIN IMMEDIATE", job) for job in jobs]
        return outcomes

    def _following(self, done: int) -> Job | None:
        """The next job of this group, None when the group is complete."""
        if done >= _LARGEST_GROUP:
            return None
        try:
            job = self._queue.get_nowait()
        except Empty:
            return None
        if job is None:
            self._queue.put(None)  # the end of the thread, once this group is committed
        return job

    def _isolated(self, connection: sqlite3.Connection, job: Job, bounds: Bounds) -> Outcome:
        """One job of a group; raises `sqlite3.Error` when the whole group is lost with it."""
        _execute(connection, bounds.before)
        try:
            value = self._perform(connection, job)
        except Exception as error:
            if isinstance(error, sqlite3.Error) and not connection.in_transaction:
                raise
            _execute(connection, bounds.undo)
            return Outcome(job, None, translated(error, self._place))
        _execute(connection, bounds.after)
        return Outcome(job, value, None)


def _execute(connection: sqlite3.Connection, statements: tuple[str, ...]) -> None:
    for statement in statements:
        connection.execute(statement)


def _roll_back(connection: sqlite3.Connection) -> None:
    if connection.in_transaction:
        with suppress(sqlite3.Error):  # then the next BEGIN fails, and its caller is told
            connection.execute("ROLLBACK")
