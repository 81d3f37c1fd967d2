"""One turn, from its session to its stored answer: the flow on one screen."""

from dataclasses import dataclass
from time import perf_counter

from msgspec import structs

from antiphon.assistants.context import ContextBuilder
from antiphon.assistants.directory import Directory
from antiphon.assistants.history import History
from antiphon.assistants.memory.fitting import FittingFacts
from antiphon.assistants.selector import ModelSelector
from antiphon.commands.base import CommandCall, CommandHouse, CommandOutcome, Commands
from antiphon.conversation.ending import TurnEnding
from antiphon.conversation.generation import Generated, Generation, record_of
from antiphon.conversation.sessions import Session, SessionManager
from antiphon.conversation.stream import TurnStream
from antiphon.domain import Conversation, NoticePart, Turn, TurnRecord, new_id
from antiphon.storage.base import InboxStore, TurnReply
from antiphon.telemetry.logs import get_logger

log = get_logger(__name__)


@dataclass(frozen=True, kw_only=True)
class MessageHandler:
    """Does everything for one turn; it keeps no state between turns, so it serves any number at once."""

    inbox: InboxStore
    sessions: SessionManager
    commands: Commands
    house: CommandHouse
    assistants: Directory
    context: ContextBuilder
    facts: FittingFacts
    selector: ModelSelector
    generation: Generation
    ending: TurnEnding

    async def handle(self, turn: Turn, stream: TurnStream) -> None:
        """From the session to the reply. Raises `AntiphonError` for what came in between; the caller ends the turn."""
        started = perf_counter()
        session = await self.sessions.resolve(turn)
        if (matched := self.commands.match(turn.text)) is not None:
            command, argument = matched
            outcome = await command.run(self._call(argument, turn, session))
            await self.sessions.change(session, outcome)
            record, reply = _answer_of(outcome)
        else:
            assistant = self.assistants.serving(session.conversation.assistant)
            choice = self.selector.choose(session.conversation, session.person, assistant)
            # From here on a crash leaves the turn interrupted: what a tool has done is never done twice.
            history = await self._begin(turn, record_of(assistant, choice), session.conversation)
            if history is None:
                log.info("turn.moved", turn_id=turn.id)
                return
            facts = await self.facts.block(turn.person_id, turn.text)
            context = self.context.build(turn, assistant, session.conversation, session.person, history, facts)
            generated = await self.generation.run(stream, assistant, choice, context)
            record, reply = answer_from(generated, record_of(assistant, choice), stream.stopped)
        record = structs.replace(record, elapsed_ms=(perf_counter() - started) * 1000)
        await self.ending.end(turn, record, reply)

    async def _begin(self, turn: Turn, record: TurnRecord, conversation: Conversation) -> History | None:
        """Marks the turn as running, and returns what came before it; None when another process sees it through."""
        histories = self.context.histories
        known = histories.of(conversation, turn)
        news = await self.inbox.begin(turn, record, context=histories.most_messages, after=known.upto)
        return None if news is None else histories.extend(known, turn, news)

    def _call(self, argument: str, turn: Turn, session: Session) -> CommandCall:
        return CommandCall(
            argument=argument, turn=turn, conversation=session.conversation, person=session.person, house=self.house
        )


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
        considered=(*begun.considered, *(("given up", f"{model}: {why}") for model, why in generated.given_up)),
        reason=reason,
        usage=ended.usage,
    )
    if ended.status == "refused":
        text = reason or "The model refused to answer."
        return record, TurnReply(id=new_id(), role="system", text=text, in_context=ended.code != "filtered")
    return record, TurnReply(id=new_id(), role="assistant", text=ended.text, parts=parts)
