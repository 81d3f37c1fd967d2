"""Sums up what no longer fits into the context of a conversation, beside its turns and never in their way.

A summary is made before something has to fall out: when the past fills most of its room, the older half of it is
summed up together with the summary that there was. What then stays grows for many turns behind the same beginning,
which is what the caches of vendors want. When it fails, or nobody pays for it, the oldest messages fall out as they
are.

It is read from the store, so that nothing is missing of it, however little of the past a turn reads; what is too much
for one request is summed up in portions, one behind the other.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from itertools import groupby, pairwise
from time import monotonic

from antiphon.assistants.beside import BesideTurns
from antiphon.assistants.config import CompactionSettings
from antiphon.assistants.context import ContextBuilder
from antiphon.assistants.estimate import size
from antiphon.assistants.history import History, Past, past_of, shown_to_models, summed_up
from antiphon.assistants.summing import instructions, material, weight_of
from antiphon.domain import Conversation, Message, Turn, TurnRecord, now
from antiphon.errors import AntiphonError, ProviderError, ServiceError
from antiphon.providers.base import ModelRequest
from antiphon.runtime.tasks import Tasks
from antiphon.storage.base import ConversationStore
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
"""How long each request for one may take."""

PORTIONS = 12
"""Requests of one summary; what they leave over waits for the next turn."""

PAGE, READ = 200, 4_000
"""Messages that are read at once, and of those that no summary tells of the newest that are read at all."""

PAUSE = 300.0
"""Seconds until it is tried again after it failed; the conversation goes on meanwhile."""

log = get_logger(__name__)


class Compaction:
    """Keeps summaries of the conversations whose turns this process sees through, at most one at a time of each."""

    def __init__(
        self,
        store: SummaryStore,
        conversations: ConversationStore,
        context: ContextBuilder,
        models: BesideTurns,
        tasks: Tasks,
        metrics: Metrics | None = None,
    ) -> None:
        self._store = store
        self._conversations = conversations
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
        if monotonic() < self._failed.get(conversation_id, 0.0) or len(self._running) >= AT_ONCE + WAITING:
            return
        history = self._context.histories.kept(conversation_id)
        if history is None or (upto := self._outgoing(history, record.assistant or "", model)) is None:
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
            async with self._few:
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
        left, last = await self._unsummed(turn.conversation_id, history, upto), history.summary
        if not left:
            return "outdated"
        for _ in range(PORTIONS):
            async with asyncio.timeout(SECONDS):
                portion, text = await self._summary(turn, model, last.text if last else "", left)
            if not text:
                return "failed"
            made = Summary(
                context_from=history.context_from,
                upto=portion[-1].ticket,
                text=text,
                model=model,
                created_at=now(),
            )
            if not await self._keep(turn.conversation_id, made, last):
                return "outdated"
            left, last = left[len(portion) :], made
            if not left:
                break
        return "made"

    async def _unsummed(self, conversation_id: str, history: History, upto: int) -> list[Past]:
        """What was said behind the summary that there is, up to and with the ticket `upto`."""
        first = max(history.context_from, history.summary.upto + 1 if history.summary else 0)
        read, before = list[Message](), None
        while len(read) < READ:
            page = await self._conversations.messages(conversation_id, before=before, limit=PAGE)
            read += page
            if len(page) < PAGE or max(each.ticket for each in page) < first:
                break
            before = min(each.position for each in page)
        else:
            log.warning("compaction.left_out", conversation_id=conversation_id, read=len(read))
        read.sort(key=lambda each: (each.ticket, each.position))
        return [past_of(each) for each in read if first <= each.ticket <= upto and shown_to_models(each)]

    async def _summary(self, turn: Turn, model: str, earlier: str, left: Sequence[Past]) -> tuple[list[Past], str]:
        """A summary of `earlier` and of as much of the oldest of `left` as one request holds, and of how much that is.
        The text is empty when the model has nothing to say. Raises `ProviderError`."""
        most = self._settings.tokens
        told = instructions(most)
        room = self._context.windows.room(model, answer=most) - len(told.text)
        portion = _portion(left, room - 2 * size(earlier))
        messages = [chat for one in portion for chat in one.forms[0].messages]
        request = ModelRequest(model=model, messages=(told, material(earlier, messages, room)), max_tokens=most)
        text = (await self._models.ask(turn, request)).strip().encode(errors="replace")
        longest = round(most * self._context.windows.bytes_per_token(model))
        return portion, text[:longest].decode(errors="ignore").strip()

    async def _keep(self, conversation_id: str, made: Summary, last: Summary | None) -> bool:
        """Whether it is the summary from now on; another process may have been faster."""
        if await self._store.put(conversation_id, made, behind=last.upto if last else 0):
            self._context.histories.sum_up(conversation_id, made)
            log.info("compaction.made", conversation_id=conversation_id, model=made.model, upto=made.upto)
            return True
        there = await self._store.get(conversation_id, made.context_from)
        if there is not None:
            self._context.histories.sum_up(conversation_id, there)
        return False

    def _rest(self, conversation_id: str) -> None:
        at = monotonic()
        self._failed = {known: until for known, until in self._failed.items() if until > at}
        self._failed[conversation_id] = at + PAUSE


def _portion(left: Sequence[Past], room: float) -> list[Past]:
    """As many of the oldest messages as have room without being shortened: whole turns, and at least one."""
    portion: list[Past] = []
    for _, said in groupby(left, key=lambda one: one.ticket):
        turn = list(said)
        room -= sum(weight_of(one.forms[0].messages) for one in turn)
        if portion and room < 0:
            break
        portion += turn
    return portion
