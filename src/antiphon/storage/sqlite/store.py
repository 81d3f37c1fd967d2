"""`SqliteStore`: the store in one SQLite file."""

import sqlite3
from collections.abc import Callable
from contextlib import ExitStack, closing
from functools import partial
from typing import cast

from antiphon.errors import ServiceError
from antiphon.runtime.threads import run_async
from antiphon.storage.base import (
    ApprovalStore,
    ConversationStore,
    InboxStore,
    NodeStore,
    PeopleStore,
    StateStore,
)
from antiphon.storage.config import DatabaseSettings
from antiphon.storage.experiments import ExperimentStore, FeedbackStore
from antiphon.storage.facts import FactStore, VectorStore
from antiphon.storage.files import FileStore
from antiphon.storage.migrations.current import bring_up_to_date, version
from antiphon.storage.outbox import OutboxStore
from antiphon.storage.spending import LedgerStore
from antiphon.storage.sql.approvals import SqlApprovals
from antiphon.storage.sql.catalogue import statements
from antiphon.storage.sql.conversations import SqlConversations
from antiphon.storage.sql.experiments import SqlExperiments, SqlFeedback
from antiphon.storage.sql.facts import SqlFacts
from antiphon.storage.sql.files import SqlFiles
from antiphon.storage.sql.inbox import SqlInbox
from antiphon.storage.sql.nodes import SqlNodes
from antiphon.storage.sql.outbox import SqlOutbox
from antiphon.storage.sql.people import SqlPeople
from antiphon.storage.sql.spending import SqlLedger
from antiphon.storage.sql.states import SqlStates
from antiphon.storage.sql.summaries import SqlSummaries
from antiphon.storage.sql.turns import SqlTurns
from antiphon.storage.sql.unit import P, T, Unit, run
from antiphon.storage.sql.vectors import SqlVectors
from antiphon.storage.sqlite.connection import connect, has_room, identity_of, path_of, prepare
from antiphon.storage.sqlite.faults import translated
from antiphon.storage.sqlite.lane import Lane, WriteLane
from antiphon.storage.summaries import SummaryStore
from antiphon.storage.turns import TurnStore
from antiphon.telemetry.logs import get_logger
from antiphon.telemetry.metrics import Metrics

_UPKEEP = "index_messages"
"""A message costs half as much when it is not indexed on the spot, and a hundred of them are indexed as fast as ten."""

log = get_logger(__name__)


class SqliteStore:
    """A `Store` in one SQLite file, which other processes of this machine may use at the same time.

    A file in memory has no readers of its own: everything runs in the one thread that writes.
    """

    conversations: ConversationStore
    inbox: InboxStore
    outbox: OutboxStore
    people: PeopleStore
    facts: FactStore
    vectors: VectorStore
    states: StateStore
    ledger: LedgerStore
    summaries: SummaryStore
    files: FileStore
    experiments: ExperimentStore
    feedback: FeedbackStore
    approvals: ApprovalStore
    nodes: NodeStore
    turns: TurnStore

    def __init__(self, settings: DatabaseSettings, *, node: str = "", metrics: Metrics | None = None) -> None:
        self._settings = settings
        self._path = path_of(settings.url)
        self._place = str(self._path or ":memory:")
        self._identity: tuple[int, int] | None = None
        texts = statements("antiphon.storage.sqlite", "statements.sql", "nodes.sql", "search.sql")
        self._writer = WriteLane(
            "store-writer",
            texts,
            self._place,
            limit=settings.queue,
            upkeep=_UPKEEP,
            checkpoint_seconds=settings.checkpoint_seconds,
            metrics=metrics,
        )
        self._readers: Lane = self._writer
        if self._path is not None:
            self._readers = Lane("store-reader", texts, self._place, limit=settings.queue, metrics=metrics)
        self.conversations = SqlConversations(self)
        self.inbox = SqlInbox(self, node)
        self.outbox = SqlOutbox(self, node)
        self.people = SqlPeople(self)
        self.facts = SqlFacts(self)
        self.vectors = SqlVectors(self)
        self.states = SqlStates(self)
        self.ledger = SqlLedger(self)
        self.summaries = SqlSummaries(self)
        self.files = SqlFiles(self)
        self.experiments = SqlExperiments(self)
        self.feedback = SqlFeedback(self)
        self.approvals = SqlApprovals(self, node)
        self.nodes = SqlNodes(self, node)
        self.turns = SqlTurns(self)

    async def start(self) -> None:
        writer, readers = await run_async(self._open)
        self._writer.start([writer])
        if self._readers is not self._writer:
            self._readers.start(readers)
        log.info("store.opened", database=self._place)

    async def stop(self) -> None:
        """Carries out what is queued, then closes the file. Stopping twice is stopping once."""
        if self._readers is not self._writer:
            await self._readers.stop()
        await self._writer.stop()
        log.info("store.closed", database=self._place)

    async def check(self) -> str:
        if self._path is not None and identity_of(self._path) != self._identity:
            raise ServiceError(
                f"The database {self._place} was deleted or replaced while it is in use: what is said now is lost at "
                "the next stop. Stop, put the file back, and start again.",
                public="The database was deleted or replaced while it is in use.",
            )
        failed = self._writer.failed
        await self.write(run, "check_write")
        if failed is not None:
            # That one row can be changed says little: there is room for it where there is none for more.
            if self._path is not None and not await run_async(has_room, self._path):
                raise failed
            self._writer.recovered_from(failed)
        return f"SQLite {sqlite3.sqlite_version}, {self._place}"

    async def read(self, unit: Callable[P, Unit[T]], /, *args: P.args, **kwargs: P.kwargs) -> T:
        return cast("T", await self._readers.run(partial(unit, *args, **kwargs)))

    async def find(self, unit: Callable[P, Unit[T]], /, *args: P.args, **kwargs: P.kwargs) -> T:
        await self.write(run, _UPKEEP)
        return await self.read(unit, *args, **kwargs)

    async def write(self, unit: Callable[P, Unit[T]], /, *args: P.args, **kwargs: P.kwargs) -> T:
        return cast("T", await self._writer.run(partial(unit, *args, **kwargs)))

    def _open(self) -> tuple[sqlite3.Connection, list[sqlite3.Connection]]:
        if self._path is not None:
            prepare(self._path)
        with ExitStack() as opened:
            try:
                self._recognise()
                writer = connect(self._path, self._settings)
                opened.callback(writer.close)
                bring_up_to_date(writer, self._settings)
                readers = []
                for _ in range(self._settings.readers if self._path else 0):
                    readers.append(connect(self._path, self._settings, readonly=True))
                    opened.callback(readers[-1].close)
            except sqlite3.Error as error:
                raise translated(error, self._place) from error
            opened.pop_all()
            self._identity = identity_of(self._path) if self._path else None
            return writer, readers

    def _recognise(self) -> None:
        """Raises `ServiceError` for a file that is another program's, before the first pragma changes that file."""
        if self._path is not None:
            with closing(sqlite3.connect(self._path, timeout=self._settings.busy_seconds)) as connection:
                version(connection, self._place)
