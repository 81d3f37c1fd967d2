"""One turn, from its session to its stored answer: the flow on one screen."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from time import perf_counter

from msgspec import structs

from antiphon.assistants.attachments import AttachedFiles
from antiphon.assistants.compaction import Compaction
from antiphon.assistants.context import ContextBuilder, seen
from antiphon.assistants.directory import Directory
from antiphon.assistants.experiments import Experiments
from antiphon.assistants.memory.fitting import FittingFacts
from antiphon.assistants.selector import ModelSelector
from antiphon.commands.base import CommandCall, CommandHouse, CommandOutcome, Commands
from antiphon.conversation.approvals import Approvals, choice_again
from antiphon.conversation.ending import TurnEnding
from antiphon.conversation.generation import Begun, Generated, Generation, HeldBack
from antiphon.conversation.hearing import Hearing, told_to
from antiphon.conversation.sessions import Session, SessionManager
from antiphon.conversation.stream import TurnStream
from antiphon.domain import AnyPart, NoticePart, ToolPart, Turn, TurnRecord, new_id
from antiphon.errors import NotAllowedError
from antiphon.plugins.house import Plugins
from antiphon.plugins.running import TurnHooks
from antiphon.storage.base import InboxStore, TurnReply
from antiphon.telemetry.logs import get_logger

log = get_logger(__name__)


@dataclass(frozen=True, kw_only=True)
class MessageHandler:
    """Does everything for one turn; it keeps no state between turns, so it serves any number at once."""

    inbox: InboxStore
    sessions: SessionManager
    hearing: Hearing
    plugins: Plugins
    commands: Commands
    house: CommandHouse
    assistants: Directory
    experiments: Experiments
    context: ContextBuilder
    compaction: Compaction
    facts: FittingFacts
    files: AttachedFiles
    selector: ModelSelector
    generation: Generation
    ending: TurnEnding
    approvals: Approvals

    async def handle(self, turn: Turn, stream: TurnStream) -> None:
        """From the session to the reply. Raises `AntiphonError` for what came in between; the caller ends the turn."""
        started = perf_counter()
        hooks = self.plugins.of(turn, stream)
        turn = await self.hearing.take_up(turn, stream, hooks)
        session = await self.sessions.resolve(turn)
        await hooks.session_resolved(turn, session.conversation, session.person)
        if not stream.goes_on and (matched := self.commands.match(turn.text)) is not None:
            if stream.stopped is not None:
                raise NotAllowedError(stream.stopped.text)
            command, argument = matched
            outcome = await command.answer(self._call(argument, turn, session))
            await self.sessions.change(session, outcome)
            record, reply = _answer_of(outcome)
            begun = None
        else:
            # From here on a crash leaves the turn interrupted: what a tool has done is never done twice.
            begun = await (self._begin_again if stream.goes_on else self._begin)(turn, session, hooks)
            if begun is None:
                log.info("turn.moved", turn_id=turn.id)
                return
            generated = await self.generation.run(stream, begun)
            if isinstance(generated, HeldBack):
                await self.approvals.pause(stream, begun, generated, elapsed_ms=_elapsed(started, begun))
                return
            record, reply = await told_to(hooks, *answer_from(generated, begun.record, stream.stopped))
        record = structs.replace(record, elapsed_ms=_elapsed(started, begun))
        await self.ending.end(turn, record, reply)

    async def _begin(self, turn: Turn, session: Session, hooks: TurnHooks) -> Begun | None:
        """Marks the turn as running, and gathers all that its answer is made from; None when another process sees it
        through."""
        conversation = session.conversation
        assistant = self.assistants.serving(conversation.assistant)
        choice = self.selector.choose(conversation, session.person, assistant)
        assistant, assignment = await self.experiments.serving(assistant, turn.person_id)
        begun = Begun(assistant=assistant, choice=choice, messages=(), assignment=assignment)
        return await self._with_context(turn, session, hooks, begun)

    async def _begin_again(self, turn: Turn, session: Session, hooks: TurnHooks) -> Begun | None:
        """As `_begin`, of a turn that has waited for people: it goes on with the model that it began with."""
        waited = await self.approvals.take(turn)
        if waited is None:
            return None
        assigned = waited.record.assignment
        named = self.assistants.serving(waited.record.assistant or session.conversation.assistant)
        assistant, choice = self.experiments.again(named, assigned), choice_again(waited)
        begun = Begun(assistant=assistant, choice=choice, messages=(), pause=waited.pause, assignment=assigned)
        return await self._with_context(turn, session, hooks, begun)

    async def _with_context(self, turn: Turn, session: Session, hooks: TurnHooks, begun: Begun) -> Begun | None:
        histories, conversation = self.context.histories, session.conversation
        known = await self.compaction.known(conversation, turn)
        begin = partial(self.inbox.begin, turn, begun.record, context=histories.most_messages, after=known.upto)
        news = await begin()
        if news and any(message.status == "waiting" for message in news) and await self.approvals.went_on(turn):
            news = await begin()
        if news is None:
            return None
        history = histories.extend(known, turn, news)
        facts = await self.facts.block(turn.person_id, turn.text)
        model = begun.choice.model
        context = self.context.build(turn, begun.assistant, conversation, session.person, history, model, facts)
        told = seen(history, context)
        room = self.context.room_for_files(begun.assistant, model, context)
        context = await self.files.load(context, room)
        context = await hooks.context_built(begun.assistant.name, context)
        return structs.replace(begun, messages=context, seen=told, hooks=hooks.of_run)

    def _call(self, argument: str, turn: Turn, session: Session) -> CommandCall:
        return CommandCall(
            argument=argument, turn=turn, conversation=session.conversation, person=session.person, house=self.house
        )


def _elapsed(started: float, begun: Begun | None) -> float:
    """Milliseconds, with those before people were waited for."""
    return (perf_counter() - started) * 1000 + (begun.pause.elapsed_ms if begun and begun.pause else 0.0)


def _answer_of(outcome: CommandOutcome) -> tuple[TurnRecord, TurnReply]:
    record = TurnRecord(
        outcome="refused" if outcome.refused else "answered", reason=outcome.text if outcome.refused else None
    )
    return record, TurnReply(id=new_id(), role="system", text=outcome.text, in_context=False)


def answer_from(
    generated: Generated, begun: TurnRecord, stopped: NoticePart | None = None
) -> tuple[TurnRecord, TurnReply]:
    """What is stored of an answer; `stopped` says why it was, where somebody stopped it."""
    ended = generated.ended
    reason, parts = ended.reason, ended.parts
    if ended.code == "cancelled" and stopped is not None:
        reason, parts = stopped.text, (*(part for part in parts if not isinstance(part, NoticePart)), stopped)
    record = structs.replace(
        begun,
        outcome=ended.status,
        model=generated.model,
        considered=(*begun.considered, *generated.given_up, *_tools_used(parts)),
        reason=reason,
        usage=ended.usage,
    )
    if ended.status == "refused":
        text = reason or "The model refused to answer."
        return record, TurnReply(id=new_id(), role="system", text=text, in_context=ended.code != "filtered")
    return record, TurnReply(id=new_id(), role="assistant", text=ended.text, parts=parts)


def _tools_used(parts: Sequence[AnyPart]) -> list[tuple[str, str]]:
    used = Counter((part.name, part.status) for part in parts if isinstance(part, ToolPart))
    told = [
        name + (f" {status}" if status != "done" else "") + (f" ({count} times)" if count > 1 else "")
        for (name, status), count in used.items()
    ]
    return [("tools", ", ".join(told))] if told else []
