"""Finds lasting facts in what people say, beside their turns and never in their way.

Only the person's own message is looked at, once, after it was answered: no prompt, no result of a tool, no answer and
nothing that was remembered before. What a process had not looked at when it ended is not looked at later, so a fact
that was deleted does not come back from the message it came from.
"""

import asyncio
from collections import OrderedDict, deque
from collections.abc import Sequence
from contextlib import suppress
from functools import cached_property
from typing import Any

from msgspec import Struct

from antiphon.assistants.beside import BesideTurns
from antiphon.assistants.guardrails import Guardrail, judge
from antiphon.assistants.memory.base import Recollection
from antiphon.assistants.memory.config import MemorySettings
from antiphon.assistants.memory.stated import FORM, MOST, READ_EARLIER, covers, is_stated, own_words, question
from antiphon.assistants.output import AnswerForm
from antiphon.assistants.private import secrets
from antiphon.domain import Turn, TurnRecord
from antiphon.errors import AntiphonError, ProviderError, ServiceError
from antiphon.providers.base import ModelRequest
from antiphon.runtime.tasks import Tasks
from antiphon.storage.facts import IMPORTANCE
from antiphon.telemetry.logs import get_logger
from antiphon.telemetry.metrics import Metrics, get_metrics

AT_ONCE, PEOPLE, WAITING = 4, 100, 8
"""Messages that are looked at at the same time, people whose messages may wait for it, and messages of one of them."""

SECONDS = 60.0
"""How long one may take."""

EARLIER, CONVERSATIONS = 3, 1_000
"""Messages before the one that is looked at, and conversations of which they are known."""

ANSWER_TOKENS = 1_000

log = get_logger(__name__)


class _Said(Struct, frozen=True):
    """The own words of an answered message, and of the ones before it."""

    turn: Turn
    text: str
    earlier: tuple[str, ...]
    assistant: str | None
    model: str


class Extraction:
    """Looks at the messages of the people whose turns this process sees through, one at a time of each."""

    def __init__(
        self,
        memory: Recollection,
        settings: MemorySettings,
        models: BesideTurns,
        tasks: Tasks,
        guardrails: Sequence[Guardrail] = (),
        metrics: Metrics | None = None,
    ) -> None:
        self._memory = memory
        self._settings = settings
        self._models = models
        self._tasks = tasks
        self._unwanted = (*guardrails, secrets())
        self._waiting: dict[str, deque[_Said]] = {}
        self._earlier: OrderedDict[tuple[str, str], tuple[str, ...]] = OrderedDict()
        self._few = asyncio.Semaphore(AT_ONCE)
        metrics = metrics or get_metrics()
        self._messages = metrics.counter(
            "antiphon_extractions_total", "Messages that facts were looked for in, by what became of it.", ("outcome",)
        )
        self._facts = metrics.counter(
            "antiphon_extracted_facts_total", "Facts that models found in messages, by what became of them.", ("fate",)
        )

    def consider(self, turn: Turn, record: TurnRecord) -> None:
        """Looks at the message of a turn that has ended, if there is something to look at. Returns at once."""
        if not self._settings.extract or record.outcome != "answered" or record.model is None:
            return
        text = own_words(turn.text)
        if not text:
            return
        earlier = self._remembered(turn, text)
        model = self._settings.extract_model or record.model
        said = _Said(turn, text, earlier, record.assistant, model)
        waiting = self._waiting.get(turn.person_id)
        if len(self._waiting) >= PEOPLE if waiting is None else len(waiting) >= WAITING:
            self._messages.labels("skipped").inc()
        elif waiting is not None:
            waiting.append(said)
        else:
            with suppress(ServiceError):  # everything is being stopped
                self._tasks.start("extraction", self._run, turn.person_id)
                self._waiting[turn.person_id] = deque([said])

    @cached_property
    def _form(self) -> AnswerForm:
        """Made for the first message: what checks it takes time to load."""
        return AnswerForm(dict(FORM))

    def _remembered(self, turn: Turn, text: str) -> tuple[str, ...]:
        """What the person said before in this conversation; the new message is among it from the next one on."""
        key = turn.person_id, turn.conversation_id
        earlier = self._earlier.pop(key, ())
        self._earlier[key] = (*earlier, text[:READ_EARLIER])[-EARLIER:]
        if len(self._earlier) > CONVERSATIONS:
            self._earlier.popitem(last=False)
        return earlier

    async def _run(self, person_id: str) -> None:
        waiting = self._waiting[person_id]
        try:
            while waiting:
                await self._see_through(waiting.popleft())
        finally:
            del self._waiting[person_id]

    async def _see_through(self, said: _Said) -> None:
        outcome = "failed"
        try:
            async with self._few, asyncio.timeout(SECONDS):
                outcome = await self._look_at(said)
        except ProviderError as error:
            log.warning("extraction.refused", turn_id=said.turn.id, kind=error.kind)
        except (AntiphonError, TimeoutError) as error:
            log.warning("extraction.failed", turn_id=said.turn.id, error=type(error).__name__)
        finally:
            self._messages.labels(outcome).inc()

    async def _look_at(self, said: _Said) -> str:
        request = ModelRequest(model=said.model, messages=question(said.earlier, said.text), max_tokens=ANSWER_TOKENS)
        answer = self._form.read(await self._models.ask(said.turn, request, self._form))
        found = [each["text"] for each in answer["facts"] if self._counts(said, each)]
        self._facts.labels("dropped").inc(len(answer["facts"]) - len(found[:MOST]))
        kept = [await self._keep(said, fact) for fact in found[:MOST]]
        return "kept" if any(kept) else "nothing"

    def _counts(self, said: _Said, found: dict[str, Any]) -> bool:
        """Whether a fact is of the new message, in its words, and may be known."""
        new, fact = len(said.earlier) + 1, found["text"]
        return found["message"] == new and is_stated(fact, said.text) and not judge(fact, self._unwanted).found

    async def _keep(self, said: _Said, fact: str) -> bool:
        """Whether the fact is a new one."""
        person = said.turn.person_id
        alike = await self._memory.search(fact, person=person)
        new = not any(covers(known.text, fact) for known in alike)
        if new:
            kept = await self._memory.add(
                fact,
                person=person,
                importance=IMPORTANCE - 1,
                source_message_id=said.turn.message_id,
                assistant=said.assistant,
                extracted=True,
            )
            new = kept.new and kept.fact not in kept.dropped
        self._facts.labels("kept" if new else "known").inc()
        return new
