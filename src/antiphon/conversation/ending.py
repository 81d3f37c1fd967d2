"""Steps 9 and 10 of the flow: the outcome is stored, the reply goes out, and whoever watches is told."""

import asyncio
from collections.abc import Callable

from msgspec import structs

from antiphon.conversation.live import Live
from antiphon.conversation.outbox import Outbox
from antiphon.domain import Turn, TurnRecord
from antiphon.errors import ServiceError
from antiphon.runtime.retry import ErrorHandler
from antiphon.storage.base import Finished, InboxStore, TurnReply
from antiphon.telemetry.logs import get_logger
from antiphon.telemetry.metrics import ANSWER_BUCKETS, Metrics, get_metrics

FIRST_PAUSE = 1.0
"""Seconds until an outcome that was not stored is tried again; later pauses are longer."""

log = get_logger(__name__)


class TurnEnding:
    """Ends turns, whatever became of them: this is the only way to an outcome. `told` hears of it when it is stored."""

    def __init__(
        self,
        inbox: InboxStore,
        outbox: Outbox,
        live: Live,
        *,
        told: Callable[[Turn, TurnRecord, TurnReply | None], None] = lambda *_: None,
        metrics: Metrics | None = None,
    ) -> None:
        self._inbox = inbox
        self._outbox = outbox
        self._live = live
        self._told = told
        metrics = metrics or get_metrics()
        self._turns = metrics.counter("antiphon_turns_total", "Turns by their outcome.", ("outcome",))
        self._seconds = metrics.histogram(
            "antiphon_turn_seconds", "From the start of a turn to its stored outcome.", buckets=ANSWER_BUCKETS
        )
        self._tokens = metrics.counter("antiphon_tokens_total", "Tokens of models.", ("model", "kind"))

    async def end(self, turn: Turn, record: TurnRecord, reply: TurnReply | None, *, patient: bool = True) -> None:
        """One unit of work for outcome and reply, then the sending.

        A store that does not take them now (disk full, locked) is tried until it does, because what was told must be
        what is stored; who watches is told at once. Without `patient` its `ServiceError` is raised. Where another
        process sees the turn through by now, nothing is stored and nobody is told.
        """
        finished = await self._finish(turn, record, reply, patient=patient)
        if finished.elsewhere:
            log.warning("turn.moved", turn_id=turn.id, outcome=record.outcome)
            return
        if finished.message is not None:
            await self._outbox.reply(turn.target, finished.message, finished.delivery_id)
        self._live.turn_end(turn, record, finished.message.id if finished.message else None)
        if finished.conversation is not None:
            self._live.conversation("updated", finished.conversation)
        self._told(turn, record, reply)
        self._account(turn, record)

    async def _finish(self, turn: Turn, record: TurnRecord, reply: TurnReply | None, *, patient: bool) -> Finished:
        async def finish() -> Finished:
            return await self._inbox.finish(turn, record, reply, deliver=self._outbox.keeps(turn.target))

        try:
            return await finish()
        except ServiceError as error:
            if not patient:
                raise
            log.warning("turn.outcome_not_stored", turn_id=turn.id, error=str(error))
            self._live.turn_end(turn, structs.replace(record, reason=error.public), None)
        await asyncio.sleep(FIRST_PAUSE)
        until_stored = ErrorHandler(None, timeout=None, first_pause=FIRST_PAUSE, retry_on=ServiceError)
        return await until_stored.run(finish)

    def _account(self, turn: Turn, record: TurnRecord) -> None:
        self._turns.labels(record.outcome).inc()
        if record.elapsed_ms is not None:
            self._seconds.observe(record.elapsed_ms / 1000)
        if record.model is not None:
            self._tokens.labels(record.model, "input").inc(record.usage.input_tokens)
            self._tokens.labels(record.model, "output").inc(record.usage.output_tokens)
        log.info(
            "turn.finished",
            turn_id=turn.id,
            outcome=record.outcome,
            model=record.model,
            elapsed_ms=record.elapsed_ms,
            input_tokens=record.usage.input_tokens,
            output_tokens=record.usage.output_tokens,
        )
