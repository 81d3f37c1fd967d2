"""Turns that wait until a person has allowed what a tool is to do: how they are kept, answered and gone on with."""

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Protocol, cast

from msgspec import structs

from antiphon.assistants.answer import text_of
from antiphon.assistants.selector import Choice, ChosenBy
from antiphon.conversation.asking import Asking
from antiphon.conversation.ending import TurnEnding
from antiphon.conversation.generation import Begun, HeldBack
from antiphon.conversation.live import Live
from antiphon.conversation.stream import CANCELLED, TurnStream, UnderWay
from antiphon.domain import (
    AnyPart,
    Approval,
    NoticePart,
    Pause,
    Person,
    ToolPart,
    Turn,
    TurnRecord,
    Verdict,
    new_id,
    now,
)
from antiphon.errors import AntiphonError, NotFoundError, ValidationError
from antiphon.runtime.tasks import Restart, Tasks
from antiphon.storage.base import DAMAGED, ApprovalStore, TurnReply, Unfinished, Waits
from antiphon.telemetry.logs import get_logger
from antiphon.telemetry.metrics import Metrics, get_metrics

LOOK_SECONDS = 60.0
"""Between two looks for what nobody has answered in time, where nothing is known to be due before."""

ALWAYS = datetime.max.replace(tzinfo=UTC)

REASON_LIMIT = 2_000
"""Characters of a reason that reach the model."""

RESTART = Restart(longest_pause=60.0)
"""For what nobody has thought of: a house that does not look keeps its turns waiting."""

log = get_logger(__name__)


class GoOn(Protocol):
    """Gets a turn into line again that people have answered, in the process whose matter it is."""

    def __call__(self, left: Unfinished, elsewhere: str | None) -> None: ...


class Approvals:
    """Lets turns wait, takes the answers of people, and has the turns go on.

    What waits is in the store alone. Whoever asked may answer, and any operator; the first answer counts.
    """

    def __init__(
        self,
        store: ApprovalStore,
        ending: TurnEnding,
        live: Live,
        asking: Asking,
        *,
        expire_seconds: float,
        metrics: Metrics | None = None,
    ) -> None:
        self._store = store
        self._ending = ending
        self._live = live
        self._asking = asking
        self._go_on: GoOn | None = None
        self._expire = timedelta(seconds=expire_seconds)
        self._tasks = Tasks()
        self._answering: set[asyncio.Task[Approval]] = set()
        self._news = asyncio.Event()
        self._looked = False
        self._asked = (metrics or get_metrics()).counter(
            "antiphon_approvals_total", "Calls that a person had to allow, by what became of them.", ("verdict",)
        )

    def serve(self, go_on: GoOn) -> None:
        """Turns that people have answered are handed to `go_on`."""
        self._go_on = go_on

    async def start(self) -> None:
        """Begins to look for what nobody answers."""
        self._tasks.start("approvals", self._watch, restart=RESTART)

    async def stop(self) -> None:
        """Looks no more. What waits goes on waiting."""
        await self._tasks.stop()
        if self._answering:
            await asyncio.wait(self._answering)

    # --- a turn that waits ----------------------------------------------------------------------------------------

    async def pause(self, stream: TurnStream, begun: Begun, held: HeldBack, *, elapsed_ms: float) -> None:
        """Lets a turn wait until its calls are allowed, and asks for that."""
        turn, asked_at, paused = stream.turn, now(), held.paused
        record = structs.replace(
            begun.record,
            model=held.model,
            considered=(*begun.choice.considered, *held.given_up),
        )
        approvals = tuple(_approval(turn, call, asked_at, asked_at + self._expire) for call in paused.calls)
        await stream.close()
        pause = Pause(
            approvals=approvals,
            parts=paused.parts,
            steps=paused.steps,
            usage=paused.usage,
            fallbacks=begun.choice.fallbacks,
            seq=stream.seq,
            elapsed_ms=elapsed_ms,
        )
        if not await self._store.pause(turn, record, pause, stream.not_stored()):
            log.info("turn.moved", turn_id=turn.id)
            return
        log.info("turn.waits", turn_id=turn.id, calls=len(approvals))
        self._asked.labels("asked").inc(len(approvals))
        for approval in approvals:
            self._live.approval(approval)
        self._news.set()
        if stream.stopped is not None:
            await self._give_up(Waits(turn=turn, record=record, pause=pause), stream.stopped)
            return
        self._tasks.start("ask", self._asking.ask, turn, approvals)

    async def take(self, turn: Turn) -> Waits | None:
        """Makes a turn running that people have answered; None when somebody else has it."""
        return await self._store.take(turn, decided=True)

    async def under_way(self, conversation_id: str, since: Mapping[str, int]) -> tuple[list[UnderWay], bool]:
        """The turns of a conversation that wait, as somebody sees them who joins; as `MessageRouter.under_way`."""
        found = [
            UnderWay.waiting(waits, since.get(waits.turn.id, 0)) for waits in await self._store.waiting(conversation_id)
        ]
        return found, all(turn.exact for turn in found)

    async def went_on(self, turn: Turn) -> bool:
        """Ends what waits in the conversation of `turn`, because the person says something else instead of answering.
        A message that was sent before the question says nothing about it."""
        ended = False
        for waits in await self._store.waiting(turn.conversation_id):
            if waits.turn.id != turn.id and waits.pause.approvals[0].asked_at < turn.created_at:
                names = ", ".join(dict.fromkeys(each.name for each in waits.pause.approvals))
                why = NoticePart(code="went_on", text=f"You went on without allowing it, so it was not done: {names}.")
                ended = await self._give_up(waits, why) or ended
        return ended

    async def cancel(self, conversation_id: str, turn_id: str) -> bool:
        """Ends a turn that waits; False when it does not."""
        for waits in await self._store.waiting(conversation_id):
            if waits.turn.id == turn_id:
                return await self._give_up(waits, CANCELLED)
        return False

    async def _give_up(self, waits: Waits, why: NoticePart) -> bool:
        taken = await self._store.take(waits.turn, decided=False)
        if taken is None:
            return False
        parts = (*(_dropped(part, why) for part in taken.pause.parts), why)
        record = structs.replace(
            taken.record,
            outcome="interrupted",
            reason=why.text,
            usage=taken.pause.usage or taken.record.usage,
            elapsed_ms=taken.pause.elapsed_ms,
        )
        await self._ending.end(
            taken.turn, record, TurnReply(id=new_id(), role="assistant", text=text_of(parts) or why.text, parts=parts)
        )
        return True

    # --- what people answer ---------------------------------------------------------------------------------------

    async def asked(self, person: Person, *, after: str = "", limit: int = 100) -> list[Approval]:
        """What this person may answer: what they asked for, and for an operator everything. Those behind the id
        `after`, in order."""
        return await self._store.asked(_whose(person), after=after, limit=limit)

    async def within_reach(self, person: Person, code: str, *, conversation_id: str) -> list[Approval]:
        """What this person may mean who speaks in a conversation: what waits there, all that they asked for anywhere,
        and the call of this code."""
        found = await self._open(person, conversation_id)
        found += await self._store.asked(_whose(person), which=code) if code else []
        after = ""
        while page := await self._store.asked(person.id, after=after):
            found += page
            after = page[-1].id
        return list({each.id: each for each in found}.values())

    async def _open(self, person: Person, conversation_id: str) -> list[Approval]:
        return [
            each
            for waits in await self._store.waiting(conversation_id)
            for each in waits.pause.approvals
            if each.verdict is None and (person.operator or each.person_id == person.id)
        ]

    async def find(self, person: Person, which: str, *, conversation_id: str | None = None) -> Approval:
        """The open call of this id, or of this id or call id in the conversation. Raises `NotFoundError`, and
        `ValidationError` when turns that wait side by side have calls of the same id: vendors count from 0."""
        if conversation_id is None:
            found = await self._store.asked(_whose(person), which=which)
        else:
            here = await self._open(person, conversation_id)
            found = [each for each in here if which in {each.id, each.call_id}]
        if not found:
            raise NotFoundError("There is nothing to allow under this name: it was answered, or its time is up.")
        if len(found) > 1:
            raise ValidationError("Several calls that wait have this name. Answer each by its `id`.")
        return found[0]

    async def answer(
        self, person: Person, approval: Approval, verdict: Verdict, *, reason: str | None = None
    ) -> Approval:
        """Takes an answer, and has the turn go on when it was the last one it waited for.

        Raises `NotFoundError` for what this person may not answer or nobody waits for any more, and `ValidationError`
        when somebody was faster. A caller that gives up takes nothing back."""
        if approval.person_id != person.id and not person.operator:
            raise NotFoundError("There is nothing of yours to allow under this name.")
        if approval.expires_at <= now():  # also where nobody has looked since, as in a house that was down
            raise NotFoundError(f"The time to answer is up: {approval.name} is not carried out.")
        return await asyncio.shield(self._deciding(approval, verdict, reason, person.id))

    def _deciding(
        self, approval: Approval, verdict: Verdict, reason: str | None, by: str | None
    ) -> asyncio.Task[Approval]:
        deciding = asyncio.create_task(self._decide(approval, verdict, reason, by), name=f"decide:{approval.id}")
        self._answering.add(deciding)
        deciding.add_done_callback(self._answering.discard)
        return deciding

    async def _decide(self, approval: Approval, verdict: Verdict, reason: str | None, by: str | None) -> Approval:
        decided = await self._store.decide(approval, verdict, reason=reason, by=by)
        if decided is None:
            raise NotFoundError(f"Nobody waits for an answer to {approval.name} any more.")
        if not decided.first:
            raise ValidationError(f"Somebody was faster: {approval.name} was {decided.approval.verdict} already.")
        log.info("approval.answered", turn_id=approval.turn_id, tool=approval.name, verdict=verdict)
        self._asked.labels(verdict).inc()
        self._live.approval(decided.approval)
        if decided.left is not None and self._go_on is not None:
            self._go_on(decided.left, decided.elsewhere)
        return decided.approval

    # --- what nobody answers --------------------------------------------------------------------------------------

    async def _watch(self) -> None:
        while True:
            self._news.clear()
            try:
                pause = await self._expire_overdue()
            except AntiphonError as error:
                log.warning("approvals.not_looked_at", error=str(error))
                pause = LOOK_SECONDS
            try:
                async with asyncio.timeout(pause):
                    await self._news.wait()
            except TimeoutError:
                continue

    async def _expire_overdue(self) -> float:
        """Seconds until it is to be done again."""
        at = now()
        until = LOOK_SECONDS
        await self._end_damaged(at)
        for approval in await self._store.overdue(at + timedelta(seconds=LOOK_SECONDS)):
            left = (approval.expires_at - at).total_seconds()
            if left > 0:
                until = min(until, left)
                continue
            try:
                await self._deciding(approval, "expired", None, None)
            except (ValidationError, NotFoundError) as error:
                log.info("approval.answered_meanwhile", turn_id=approval.turn_id, error=str(error))
        return until

    async def _end_damaged(self, at: datetime) -> None:
        """What nobody can go on with ends: at the first look all of it, later what is due. Another process may still
        understand what a newer version has written, until its time is up."""
        damaged = await self._store.take_damaged(at if self._looked else ALWAYS, newer=False)
        self._looked = True
        for left in (*damaged, *await self._store.take_damaged(at, newer=True)):
            log.warning("approval.damaged", turn_id=left.turn.id)
            why = NoticePart(code="damaged", text=DAMAGED)
            parts = (*(_dropped(part, why) for part in left.parts), why)
            record = structs.replace(left.record or TurnRecord(outcome="interrupted"), reason=why.text)
            reply = TurnReply(id=new_id(), role="assistant", text=text_of(parts) or why.text, parts=parts)
            await self._ending.end(left.turn, structs.replace(record, outcome="interrupted"), reply)


def choice_again(waited: Waits) -> Choice:
    """The model that a turn began with, and what people answered, for `/why`."""
    record = waited.record
    answers = (("approval", f"{each.name}: {each.verdict}") for each in waited.pause.approvals)
    return Choice(
        model=record.model or "",
        chosen_by=cast("ChosenBy", record.chosen_by),
        considered=(*record.considered, *answers),
        fallbacks=waited.pause.fallbacks,
    )


def _whose(person: Person) -> str | None:
    return None if person.operator else person.id


def _approval(turn: Turn, call: ToolPart, asked_at: datetime, expires_at: datetime) -> Approval:
    return Approval(
        id=new_id(),
        turn_id=turn.id,
        conversation_id=turn.conversation_id,
        person_id=turn.person_id,
        call_id=call.call_id,
        name=call.name,
        arguments=call.arguments,
        asked_at=asked_at,
        expires_at=expires_at,
    )


def _dropped(part: AnyPart, why: NoticePart) -> AnyPart:
    if isinstance(part, ToolPart) and part.status == "running":
        return structs.replace(part, status="cancelled", result=f"It was not carried out. {why.text}")
    return part
