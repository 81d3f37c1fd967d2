"""One answer of an assistant to a client that brings the whole conversation along."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from functools import partial
from time import perf_counter

from msgspec import structs

from antiphon.assistants.assistant import Assistant
from antiphon.assistants.history import History
from antiphon.assistants.run import Ended, Reasoning, Run, Text, ToolStarted
from antiphon.assistants.selector import Choice
from antiphon.assistants.state import StatesInMemory, TurnStates
from antiphon.assistants.teamwork import Teamwork
from antiphon.conversation.flow import Flow
from antiphon.conversation.generation import Generated, model_of, record_of
from antiphon.conversation.handler import answer_from
from antiphon.conversation.keeping import ConversationKeeper, Exchange
from antiphon.domain import Assignment, Conversation, Person, Target, Turn, TurnRecord, new_id, now
from antiphon.errors import AntiphonError, ConfigError, NotAllowedError
from antiphon.plugins.hooks import Said
from antiphon.plugins.running import TurnHooks
from antiphon.providers.base import (
    ChatMessage,
    Event,
    Finish,
    FinishReason,
    ReasoningDelta,
    TextDelta,
    ToolCallDelta,
    ToolCallEnd,
    ToolCallStart,
    ToolName,
    UsageReport,
)
from antiphon.providers.chain import Chain
from antiphon.runtime.threads import run_async
from antiphon.storage.base import LOCAL_ACCOUNT, TurnReply
from antiphon.telemetry.logs import get_logger
from antiphon.tools.base import ToolContext
from antiphon.web.openai.body import AskedCompletion
from antiphon.web.openai.errors import ApiError, RefusedError, invalid, of_run
from antiphon.web.openai.exchanges import exchanges_of
from antiphon.web.openai.rounds import Rounds

ADAPTER = "openai"
"""The platform of these conversations, for the choice of a model and for budgets."""

_FINISH: dict[str | None, FinishReason] = {
    "length": "length",
    "steps": "length",
    "filtered": "filtered",
    "tool_calls": "tool_calls",
}

log = get_logger(__name__)


@dataclass(frozen=True, kw_only=True)
class Answering:
    """An answer under way, under the id `identity`."""

    identity: str
    asked: AskedCompletion
    person: Person
    assistant: Assistant
    choice: Choice
    assignment: Assignment | None
    exchanges: Sequence[Exchange]
    chain: Chain
    run: Run
    rounds: Rounds
    keeper: ConversationKeeper

    async def events(self) -> AsyncGenerator[Event | ApiError, None]:
        """The answer as it is made; an error is the last one, and the only one where nothing was said before it."""
        started = perf_counter()
        ended: Ended | None = None
        spoke = apart = False
        async with aclosing(self.run.events()) as events:
            async for event in events:
                match event:
                    case Text(text=text):
                        yield TextDelta(f"\n\n{text.lstrip()}" if apart else text)
                        spoke, apart = True, False
                    case Reasoning(text=text):
                        yield ReasoningDelta(text)
                    case ToolStarted():
                        apart = spoke  # what is said before and after a tool are paragraphs of their own
                    case Ended():
                        ended = event
        assert ended is not None  # noqa: S101 - a run promises it
        log.info("openai.answered", answer=self.identity, model=self.chain.answering.name, outcome=ended.status)
        if ended.calls:
            await self.rounds.keep(self.person.id, ended.calls[0].id, self.run.rounds)
        elif self.asked.store and ended.status != "refused":
            unkept = await self._store(ended, (perf_counter() - started) * 1000)
            if unkept is not None:
                yield unkept
                return
        for last in _end_of(ended):
            yield last

    async def _store(self, ended: Ended, elapsed_ms: float) -> ApiError | None:
        """Keeps the conversation; what went wrong if it could not be kept, because who asks for that relies on it."""
        generated = Generated(ended=ended, model=self.chain.answering.name, given_up=tuple(self.chain.path))
        record, reply = answer_from(generated, record_of(self.assistant, self.choice, self.assignment))
        *earlier, last = self.exchanges
        last = structs.replace(last, record=structs.replace(record, elapsed_ms=elapsed_ms), reply=reply)
        name = self.asked.conversation or self.identity
        try:
            account = account_of(self.asked.user)
            await self.keeper.keep(self.person, account, name, self.assistant.name, [*earlier, last])
        except AntiphonError as error:
            log.warning("openai.not_kept", answer=self.identity, error=str(error))
            return _not_stored(error)
        return None


@dataclass(frozen=True, kw_only=True)
class Answerer:
    """Lets assistants answer. It keeps no state between answers, so it serves any number at once."""

    flow: Flow
    rounds: Rounds
    keeper: ConversationKeeper

    async def begin(self, asked: AskedCompletion, person: Person) -> Answering:
        """The answer, not yet begun. Raises `RefusedError` when there is none of this name, or on these terms."""
        assistant = self._assistant(asked)
        _check_tools(asked, assistant)
        if not self.flow.may_attach.vendor_urls:
            _check_files(asked)
        if asked.user is not None:
            person = await self.flow.store.people.by_account(LOCAL_ACCOUNT[0], account_of(asked.user), name=asked.user)
        conversation = _passing(asked, assistant, person)
        choice = self._choice(asked, conversation, person, assistant)
        assistant, assignment = await self.flow.experiments.serving(assistant, person.id)
        turn = _turn(asked, conversation, person)
        messages = await self.flow.brought.load(await self.rounds.restored(person.id, asked.messages))
        nothing = History(context_from=0, upto=0)
        instructions = self.flow.context.build(turn, assistant, conversation, person, nothing, choice.model)[:-1]
        chain = self.flow.providers.chain((choice.model, *choice.fallbacks))
        states = TurnStates(StatesInMemory(), conversation.id)
        context = ToolContext(
            person_id=person.id,
            conversation_id=conversation.id,
            turn_id=turn.id,
            message_id=turn.message_id,
            assistant=assistant.name,
        )
        hooks = self.flow.plugins.of(turn)
        try:
            messages = await _heard(hooks, turn, messages)
            await hooks.session_resolved(turn, conversation, person)
            prompt = await hooks.context_built(assistant.name, (*instructions, *messages))
        except NotAllowedError as error:
            raise RefusedError(ApiError(403, error.public, code=error.code)) from None
        exchanges = await self._exchanges(asked, person, assistant) if asked.store else []
        # Nobody comes back to this conversation, so it pays for nothing.
        paid = partial(self.flow.budgets.metered, person_id=person.id, conversation_id=None, adapter=ADAPTER)
        team = Teamwork(
            partial(model_of, self.flow.providers, choice, paid),
            self.flow.context.instructions,
            self.flow.services,
            states,
            self.flow.guardrails,
        )
        rules, model = structs.replace(self.flow.rules, people=False), (paid(chain), chain.answering.model)
        run = team.run(assistant, model, prompt, context, asked.wishes, rules=rules)
        run.hooks = hooks.of_run
        return Answering(
            identity=f"chatcmpl-{turn.id}",
            asked=asked,
            person=person,
            assistant=assistant,
            choice=choice,
            assignment=assignment,
            exchanges=exchanges,
            chain=chain,
            run=run,
            rounds=self.rounds,
            keeper=self.keeper,
        )

    def _assistant(self, asked: AskedCompletion) -> Assistant:
        try:
            return self.flow.assistants.get(asked.assistant)
        except ConfigError as error:
            raise RefusedError(ApiError(404, error.public, param="model", code="model_not_found")) from None

    async def _exchanges(self, asked: AskedCompletion, person: Person, assistant: Assistant) -> list[Exchange]:
        """What is to be kept, its files already: nobody pays for an answer that cannot be."""
        record, files = TurnRecord(outcome="answered", assistant=assistant.name), self.flow.files
        try:
            return [
                Exchange(
                    key=key,
                    question=said,
                    attachments=tuple(await files.keep_all(person.id, uploads)),
                    record=record,
                    reply=TurnReply(id=new_id(), role="assistant", text=answer),
                )
                for key, said, answer, uploads in await run_async(exchanges_of, asked.messages)
            ]
        except AntiphonError as error:
            raise RefusedError(_not_stored(error)) from None

    def _choice(
        self, asked: AskedCompletion, conversation: Conversation, person: Person, assistant: Assistant
    ) -> Choice:
        if asked.model is not None:
            try:
                self.flow.providers.resolve(asked.model)
            except AntiphonError as error:
                raise RefusedError(ApiError(404, error.public, param="model", code="model_not_found")) from None
            if not self.flow.selector.may_choose(person):
                raise RefusedError(ApiError(403, "Nobody chooses the model here but the operator.", param="model"))
        try:
            return self.flow.selector.choose(conversation, person, assistant)
        except ConfigError as error:
            raise RefusedError(ApiError(503, error.public, "server_error", "no_model")) from None


def account_of(user: str | None) -> str:
    """The account on the web of one of a client's own users; without one, of whoever asks."""
    return LOCAL_ACCOUNT[1] if user is None else f"openai:{user}"


def _not_stored(error: AntiphonError) -> ApiError:
    if error.retryable:
        return ApiError(503, error.public, "server_error", "not_stored")
    return ApiError(400, error.public, param="store", code="not_stored")


def _check_tools(asked: AskedCompletion, assistant: Assistant) -> None:
    theirs = {spec.name for spec in asked.wishes.tools}
    own = {spec.name for spec in assistant.specs}
    if both := sorted(theirs & own):
        raise invalid(f"{assistant.name} has a tool called {both[0]} itself. Give yours another name.", "tools")
    chosen = asked.wishes.tool_choice
    if isinstance(chosen, ToolName) and chosen.name not in theirs | own:
        raise invalid(f"There is no tool called {chosen.name[:64]}.", "tool_choice")
    if chosen == "required" and not theirs | own:
        raise invalid("There is no tool that could be called.", "tool_choice")


def _check_files(asked: AskedCompletion) -> None:
    if any(file.url is not None for message in asked.messages for file in message.files):
        raise invalid("Nothing is fetched from addresses here: send the file itself, as `data:…;base64,…`.", "messages")


async def _heard(hooks: TurnHooks, turn: Turn, messages: tuple[ChatMessage, ...]) -> tuple[ChatMessage, ...]:
    """The messages with the newest as plugins have it, where that is a person's."""
    if not hooks.on_arrival or not messages or messages[-1].role != "user":
        return messages
    said = await hooks.message_arrived(Said(text=turn.text))
    return (*messages[:-1], structs.replace(messages[-1], text=said.text))


def _passing(asked: AskedCompletion, assistant: Assistant, person: Person) -> Conversation:
    """A conversation that no store knows."""
    stamp = now()
    return Conversation(
        id=new_id(),
        title="",
        assistant=assistant.name,
        created_at=stamp,
        updated_at=stamp,
        person_id=person.id,
        adapter=ADAPTER,
        model=asked.model,
    )


def _turn(asked: AskedCompletion, conversation: Conversation, person: Person) -> Turn:
    question = next((message.text for message in reversed(asked.messages) if message.role == "user"), "")
    return Turn(
        id=new_id(),
        conversation_id=conversation.id,
        message_id="",  # the question is nobody's to look up
        ticket=1,
        person_id=person.id,
        text=question,
        target=Target(adapter=ADAPTER, place=conversation.id),
        created_at=conversation.created_at,
    )


def _end_of(ended: Ended) -> Sequence[Event | ApiError]:
    if ended.status != "answered":
        return [of_run(ended.code, ended.reason)]
    events: list[Event | ApiError] = []
    for index, call in enumerate(ended.calls):
        start = ToolCallStart(index, call.id, call.name)
        events += [start, ToolCallDelta(index, call.arguments), ToolCallEnd(index, call)]
    return [*events, UsageReport(ended.usage), Finish(_FINISH.get(ended.code, "stop"))]
