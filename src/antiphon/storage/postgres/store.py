"""`PostgresStore`: the store on a PostgreSQL server."""

from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any, cast

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
from antiphon.storage.meter import Meter
from antiphon.storage.migrations.postgres import bring_up_to_date
from antiphon.storage.outbox import OutboxStore
from antiphon.storage.postgres.catalogue import catalogue
from antiphon.storage.postgres.connection import Link, checked_url, close, connect
from antiphon.storage.postgres.pool import Pool
from antiphon.storage.postgres.statements import Statements
from antiphon.storage.postgres.transaction import perform
from antiphon.storage.postgres.vectors import PostgresVectors, compares, made_ready
from antiphon.storage.spending import LedgerStore
from antiphon.storage.sql.approvals import SqlApprovals
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
from antiphon.storage.sql.unit import Alone, P, T, Unit, run
from antiphon.storage.summaries import SummaryStore
from antiphon.storage.turns import TurnStore
from antiphon.telemetry.logs import get_logger
from antiphon.telemetry.metrics import Metrics

log = get_logger(__name__)


class PostgresStore:
    """A `Store` in a PostgreSQL database, which other processes may use at the same time.

    It finds back to a server that was restarted or out of reach by itself; what is asked for meanwhile waits for a
    moment and then fails with `ServiceError`.
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
        checked_url(settings)
        self._settings = settings
        self._place = settings.place
        self._reads, self._writes = Meter("store-reader", metrics), Meter("store-writer", metrics)
        self._pool = Pool(
            lambda patient: connect(settings, patient=patient),
            settings.place,
            size=settings.connections,
            limit=settings.queue,
        )
        self._version = ""
        self._statements = self._reading = Statements({})
        # A client that has vanished must not hold its locks for longer than anybody waits for them.
        limit = f"SET LOCAL idle_in_transaction_session_timeout = {int(settings.answer_seconds * 1000)}"
        self._begin = f"BEGIN; {limit}"
        # Without prepared statements a pooler may answer the two halves of one query from two connections.
        pooled = not settings.statement_cache_size
        self._begin_alone = self._begin if pooled else None
        self._begin_reading = "BEGIN READ ONLY" if pooled else None
        self.conversations = SqlConversations(self)
        self.inbox = SqlInbox(self, node)
        self.outbox = SqlOutbox(self, node)
        self.people = SqlPeople(self)
        self.facts = SqlFacts(self)
        self.vectors = self._vectors = PostgresVectors(self)
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
        link = await connect(self._settings)
        async with AsyncExitStack() as undo:
            undo.push_async_callback(close, link)
            await bring_up_to_date(link, self._settings)
            similar = bool(await link.fetchval("SELECT to_regprocedure('similarity(text, text)') IS NOT NULL"))
            may_change = self._settings.migrate == "auto"
            vectors = await compares(link) or (may_change and await made_ready(link))
            undo.pop_all()
        self._version = str(link.get_settings().server_version).partition(" ")[0]
        self._vectors.comparing = vectors
        known = catalogue(similar=similar, vectors=vectors)
        self._statements = Statements(known)
        self._reading = Statements({name: one for name, one in known.items() if one.reads})
        self._pool.start(link)
        if not similar:
            log.warning("store.search_limited", database=self._place, missing="pg_trgm")
        log.info("store.opened", database=self._place, pgvector=vectors)

    async def stop(self) -> None:
        """Carries out what has been asked for, then closes the connections. Stopping twice is stopping once."""
        await self._pool.stop()
        log.info("store.closed", database=self._place)

    async def check(self) -> str:
        await self.write(run, "check_write")
        return f"PostgreSQL {self._version}, {self._place}"

    async def read(self, unit: Callable[P, Unit[T]], /, *args: P.args, **kwargs: P.kwargs) -> T:
        def work(link: Link) -> Awaitable[Any]:
            return perform(link, self._reading, unit(*args, **kwargs), self._begin_reading)

        return cast("T", await self._pool.run(work, self._reads))

    find = read  # its index is always up to date

    async def write(self, unit: Callable[P, Unit[T]], /, *args: P.args, **kwargs: P.kwargs) -> T:
        begin = self._begin_alone if isinstance(unit, Alone) else self._begin

        def work(link: Link) -> Awaitable[Any]:
            return perform(link, self._statements, unit(*args, **kwargs), begin)

        return cast("T", await self._pool.run(work, self._writes))
