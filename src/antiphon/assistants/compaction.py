"""Sums up what no longer fits into the context of a conversation, beside its turns and never in their way.

A summary is made before something has to fall out: when the past fills most of its room, the older half of it is
summed up together with the summary that there was. What then stays grows for many turns behind the same beginning,
which is what the caches of vendors want. When it fails, or nobody pays for it, the oldest messages fall out as they
are.
"""

import asyncio
from contextlib import suppress
from itertools import pairwise
from time import monotonic

from antiphon.assistants.beside import BesideTurns
from antiphon.assistants.config import CompactionSettings
from antiphon.assistants.context import ContextBuilder
from antiphon.assistants.history import History, summed_up
from antiphon.assistants.summing import instructions, material
from antiphon.domain import Conversation, Turn, TurnRecord, now
from antiphon.errors import AntiphonError, ProviderError, ServiceError
from antiphon.providers.base import ChatMessage, ModelRequest
from antiphon.runtime.tasks import Tasks
from antiphon.storage.summaries import Summary, SummaryStore
from antiphon.telemetry.logs import get_logger
from antiphon.telemetry.metrics import Metrics, get_metrics

FULL = 0.75
"""Of the room for the past, and of the messages of one: from here on it is summed up."""

LEFT = 0.35
"""What stays as it was said."""

AT_ONCE, WAITING = 4, 100
"""Summaries that are made at the same time, and conversations that may wait for theirs."""

SECONDS = 120.0
"""How long one may take."""

PAUSE = 300.0
"""Seconds until it is tried again after it failed; the conversation goes on meanwhile."""

log = get_logger(__name__)


class Compaction:
    """Keeps summaries of the conversations whose turns this process sees through, at most one at a time of each."""

    def __init__(
        self,
        store: SummaryStore,
        context: ContextBuilder,
        models: BesideTurns,
        tasks: Tasks,
        metrics: Metrics | None = None,
    ) -> None:
        self._store = store
        self._context = context
        self._models = models
        self._tasks = tasks
        self._settings: CompactionSettings = context.settings.compaction
        self._running: set[str] = set()
        self._failed: dict[str, float] = {}
        self._few = asyncio.Semaphore(AT_ONCE)
        self._made = (metrics or get_metrics()).counter(
            "antiphon_summaries_total", "Summaries of conversations, by what became of them.", ("outcome",)
        )

    async def known(self, conversation: Conversation, turn: Turn) -> History:
        """What is known of the time before a turn: in this process, else its stored summary. One that cannot be read is
        none: the turn has the newest messages."""
        history = self._context.histories.of(conversation, turn)
        if history.upto or turn.ticket == 1 or not self._settings.enabled:
            return history
        try:
            summary = await self._store.get(conversation.id, conversation.context_from)
        except AntiphonError as error:
            log.warning("compaction.not_read", conversation_id=conversation.id, error=type(error).__name__)
            return history
        return history if summary is None or summary.upto >= turn.ticket else summed_up(summary)

    def consider(self, turn: Turn, record: TurnRecord) -> None:
        """Sums up a conversation whose turn has ended, if it is time. Returns at once."""
        conversation_id, model = turn.conversation_id, record.model
        if not self._settings.enabled or model is None or conversation_id in self._running:
            return
        history = self._context.histories.kept(conversation_id)
        if history is None or (upto := self._outgoing(history, record.assistant or "", model)) is None:
            return
        if monotonic() < self._failed.get(conversation_id, 0.0) or len(self._running) >= AT_ONCE + WAITING:
            return
        with suppress(ServiceError):  # everything is being stopped: the next process sees to it
            self._tasks.start("compaction", self._run, turn, self._settings.model or model, history, upto)
            self._running.add(conversation_id)

    def _outgoing(self, history: History, assistant: str, model: str) -> int | None:
        """The last ticket that is to be summed up; None while there is room."""
        room = self._context.room_for_past(assistant, model, history)
        most = self._context.histories.most_messages
        if history.full <= FULL * room and len(history.past) <= FULL * most:
            return None
        weight, count, past = history.full, len(history.past), history.past
        upto = None
        for before, one in pairwise(past):
            weight, count = weight - before.forms[0].weight, count - 1
            if one.ticket != before.ticket:  # the last exchange stays, whatever it weighs
                upto = before.ticket
                if weight <= LEFT * room and count <= LEFT * most:
                    break
        return upto

    async def _run(self, turn: Turn, model: str, history: History, upto: int) -> None:
        outcome = "failed"
        try:
            async with self._few, asyncio.timeout(SECONDS):
                outcome = await self._sum_up(turn, model, history, upto)
        except ProviderError as error:
            log.warning("compaction.refused", conversation_id=turn.conversation_id, kind=error.kind)
        except (AntiphonError, TimeoutError) as error:
            log.warning("compaction.failed", conversation_id=turn.conversation_id, error=type(error).__name__)
        finally:
            self._running.discard(turn.conversation_id)
            self._made.labels(outcome).inc()
            if outcome == "failed":
                self._rest(turn.conversation_id)

    async def _sum_up(self, turn: Turn, model: str, history: History, upto: int) -> str:
        messages = [chat for one in history.past if one.ticket <= upto for chat in one.forms[0].messages]
        text = await self._ask(turn, model, self._request(model, history, messages))
        if not text:
            return "failed"
        summary = Summary(context_from=history.context_from, upto=upto, text=text, model=model, created_at=now())
        if not await self._store.put(turn.conversation_id, summary, behind=_upto(history)):
            there = await self._store.get(turn.conversation_id, history.context_from)
            if there is not None:
                self._context.histories.sum_up(turn.conversation_id, there)
            return "outdated"
        self._context.histories.sum_up(turn.conversation_id, summary)
        log.info("compaction.made", conversation_id=turn.conversation_id, model=model, upto=upto)
        return "made"

    def _request(self, model: str, history: History, messages: list[ChatMessage]) -> ModelRequest:
        most = self._settings.tokens
        told = instructions(most)
        room = self._context.windows.room(model, answer=most) - len(told.text)
        earlier = history.summary.text if history.summary else ""
        return ModelRequest(model=model, messages=(told, material(earlier, messages, room)), max_tokens=most)

    async def _ask(self, turn: Turn, model: str, request: ModelRequest) -> str:
        """The summary; empty when the model has nothing to say. Raises `ProviderError`."""
        text = await self._models.ask(turn, request)
        most = round(self._settings.tokens * self._context.windows.bytes_per_token(model))
        return text.strip().encode(errors="replace")[:most].decode(errors="ignore").strip()

    def _rest(self, conversation_id: str) -> None:
        at = monotonic()
        self._failed = {known: until for known, until in self._failed.items() if until > at}
        self._failed[conversation_id] = at + PAUSE


def _upto(history: History) -> int:
    return history.summary.upto if history.summary else 0
