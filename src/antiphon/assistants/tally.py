"""What calls cost that no budget limits: gathered, and written behind, many of them in one unit of work."""

import asyncio
from collections import deque
from collections.abc import Iterable, Sequence
from contextlib import suppress

from msgspec import Struct

from antiphon.domain import new_id
from antiphon.errors import ServiceError, ValidationError
from antiphon.storage.spending import Amount, LedgerStore, Payer, Scope, Spent
from antiphon.telemetry.logs import get_logger
from antiphon.telemetry.metrics import Metrics

DELAY_SECONDS = 0.5
"""What is gathered waits so long at most, while the ledger takes it."""

LONGEST_PAUSE_SECONDS = 30.0
"""Between two attempts while it does not; the pauses double up to this."""

ENOUGH = 1_000
"""Rows that are written without waiting any longer. A row is what one payer spent in a day."""

MOST = 10_000
"""Rows that are kept while the ledger takes nothing."""

PIECE = 100
"""Rows of one unit of work: so few that what people wait for is never long behind them."""

log = get_logger(__name__)


class _Batch(Struct, frozen=True):
    """Rows that are written together, once, however often that is tried: they keep their id."""

    id: str
    spent: Sequence[Spent]


class SpendingTally:
    """Counts what needs no charge, because nobody who pays for it has a limit.

    It writes half a second after the first call, or at once for many payers. Whoever reads the ledger calls `flush`
    before. A process that is killed loses what it gathered in that time, of these counts and no others.

    What the ledger does not take is kept and tried again, with longer and longer pauses. What comes meanwhile is added
    to it; only payers beyond `MOST` are left out, which is logged, and counted as lost.
    """

    def __init__(self, ledger: LedgerStore, metrics: Metrics) -> None:
        self._ledger = ledger
        self._gathered: dict[tuple[str, Scope, str], Amount] = {}
        self._batches: deque[_Batch] = deque()
        self._written: _Batch | None = None
        self._pause = DELAY_SECONDS
        self._timer: asyncio.TimerHandle | None = None
        self._flushing: asyncio.Task[None] | None = None
        self._writing = asyncio.Lock()
        self._losing = False
        self._lost = metrics.counter(
            "antiphon_spending_lost_total", "Calls of models that were not counted for one who pays.", ("scope",)
        )

    def add(self, day: str, additions: Iterable[tuple[Payer, Amount]]) -> None:
        """Counts `additions` soon."""
        for payer, amount in additions:
            key = day, payer.scope, payer.owner
            known = self._gathered.get(key)
            if known is not None:
                self._gathered[key] = known + amount
            elif self._rows < MOST:
                self._gathered[key] = amount
            else:
                self._lose(Spent(day=day, scope=payer.scope, owner=payer.owner, amount=amount))
        if len(self._gathered) >= ENOUGH and self._pause == DELAY_SECONDS:
            self._begin()
        else:
            self._wait()

    async def flush(self) -> None:
        """Writes what was gathered until now. Where the ledger does not take it that is logged, and tried again."""
        async with self._writing:
            for _ in range(2):  # what is left of an attempt before, and what came since
                if not self._batches:
                    self._batches.extend(self._taken())
                while self._batches:
                    if not await self._write(self._batches[0]):
                        self._wait()
                        return

    async def stop(self) -> None:
        """Writes everything. What the ledger does not take now is lost, logged and counted."""
        try:
            await self.flush()
            if self._written is not None:  # no other batch will close it
                with suppress(ServiceError):
                    await self._ledger.settle(self._written.id, self._written.spent[0].day, ())
                self._written = None
        finally:
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
            self._batches.extend(self._taken())
            while self._batches:
                for spent in self._batches.popleft().spent:
                    self._lose(spent)

    @property
    def _rows(self) -> int:
        return len(self._gathered) + sum(len(batch.spent) for batch in self._batches)

    def _wait(self) -> None:
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._pause, self._due)

    def _due(self) -> None:
        self._timer = None
        self._begin()

    def _begin(self) -> None:
        if self._flushing is None or self._flushing.done():
            self._flushing = asyncio.create_task(self.flush(), name="what models cost")

    def _taken(self) -> list[_Batch]:
        """What was gathered, in pieces."""
        rows = [
            Spent(day=day, scope=scope, owner=owner, amount=amount)
            for (day, scope, owner), amount in self._gathered.items()
        ]
        self._gathered.clear()
        return [_Batch(new_id(), rows[start : start + PIECE]) for start in range(0, len(rows), PIECE)]

    async def _write(self, batch: _Batch) -> bool:
        """Whether something has become of the first batch."""
        before = None if self._written is None else self._written.id
        try:
            await self._ledger.count(batch.id, batch.spent, before=before)
        except ValidationError:  # one of its rows is what no database takes: the others must not wait for it
            self._batches.popleft()
            self._part(batch.spent)
        except ServiceError as error:
            log.warning("budget.not_written", rows=self._rows, again_in=self._pause, error=str(error))
            self._pause = min(2 * self._pause, LONGEST_PAUSE_SECONDS)
            return False
        else:
            self._batches.popleft()
            self._written, self._pause, self._losing = batch, DELAY_SECONDS, False
        return True

    def _part(self, spent: Sequence[Spent]) -> None:
        if len(spent) == 1:
            self._lose(spent[0])
            return
        half = len(spent) // 2
        self._batches.extendleft(_Batch(new_id(), part) for part in (spent[half:], spent[:half]))

    def _lose(self, spent: Spent) -> None:
        self._lost.labels(spent.scope).inc(spent.amount.calls)
        if not self._losing:  # the first one is told, all are counted
            self._losing = True
            log.error("budget.lost", day=spent.day, scope=spent.scope, calls=spent.amount.calls)
