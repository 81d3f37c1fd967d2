"""How an assistant answers: by its model as it stands, by a model that is told more, or by code of its own."""

from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, aclosing
from types import MappingProxyType
from typing import Protocol, TypeVar, runtime_checkable

from msgspec import structs

from antiphon.assistants.state import State, TurnStates
from antiphon.domain import Usage
from antiphon.errors import ConfigError
from antiphon.providers.around import Around
from antiphon.providers.base import (
    ChatMessage,
    Error,
    Event,
    Finish,
    ModelRequest,
    OutputSchema,
    Provider,
    TextDelta,
    UsageReport,
)
from antiphon.providers.whole import whole_text
from antiphon.runtime.spelling import did_you_mean
from antiphon.tools.base import ToolContext

FORMAL = """\
Write formally: complete sentences, no contractions, no emoji, no exclamation marks, polite forms of address."""

BRIEF = """\
Answer in one or two sentences. Leave out introductions, repetitions and offers of more help; no headings, no lists \
unless they were asked for."""

S = TypeVar("S", bound=State)


class ResponseContext:
    """A turn before its model is asked.

    `messages` are the instructions, as much of the past as fits, and last the person's message. What a strategy
    changes here (`messages`, `temperature`, `max_tokens`, `instruct`) counts for every model call of the turn.
    """

    def __init__(self, request: ModelRequest, provider: Provider, turn: ToolContext, states: TurnStates) -> None:
        self.messages = request.messages
        self.temperature = request.temperature
        self.max_tokens = request.max_tokens
        self.turn = turn
        self.usage: Usage | None = None
        """What `ask` has cost so far."""
        self._given = request.messages
        self._model = request.model
        self._provider = provider
        self._states = states

    @property
    def question(self) -> str:
        """The person's message."""
        return next((message.text for message in reversed(self.messages) if message.role == "user"), "")

    def instruct(self, text: str) -> None:
        """Tells the model more, behind the instructions of the assistant."""
        first = self.messages[0] if self.messages else None
        if first is None or first.role != "system":
            self.messages = (ChatMessage(role="system", text=text), *self.messages)
        else:
            self.messages = (structs.replace(first, text=f"{first.text}\n\n{text}".strip()), *self.messages[1:])

    def state(self, kind: type[S]) -> AbstractAsyncContextManager[S]:
        """The conversation's state, for as long as it is read or changed."""
        return self._states.lend(kind)

    async def ask(self, prompt: str, *, instructions: str = "", output: OutputSchema | None = None) -> str:
        """Asks the turn's model something on the side; the person does not see it. Raises `ProviderError`."""
        system = (ChatMessage(role="system", text=instructions),) if instructions else ()
        question = ChatMessage(role="user", text=prompt)
        return await self._whole(ModelRequest(model=self._model, messages=(*system, question), output=output))

    async def generate(self, question: str | None = None) -> str:
        """What the turn's model answers to the messages as they stand, without tools, for code that changes it before
        the person sees it. `question` takes the place of the person's message. Raises `ProviderError`."""
        messages = self.messages
        if question is not None:
            last = max((at for at, message in enumerate(messages) if message.role == "user"), default=len(messages))
            asked = structs.replace(messages[last], text=question) if last < len(messages) else _said(question)
            messages = (*messages[:last], asked, *messages[last + 1 :])
        return await self._whole(
            ModelRequest(model=self._model, messages=messages, temperature=self.temperature, max_tokens=self.max_tokens)
        )

    async def _whole(self, request: ModelRequest) -> str:
        return await whole_text(self._provider, request, self._spend)

    def _spend(self, usage: Usage) -> None:
        self.usage = usage if self.usage is None else self.usage + usage

    def is_before(self, request: ModelRequest) -> bool:
        """Whether `request` goes on from the turn's first one, and not from one that was made shorter."""
        return request.messages[: len(self._given)] == self._given

    def applied(self, request: ModelRequest) -> ModelRequest:
        """A request of the turn as the strategy wants it; what tools have added by now stands behind."""
        return structs.replace(
            request,
            messages=(*self.messages, *request.messages[len(self._given) :]),
            temperature=self.temperature,
            max_tokens=self.max_tokens,
        )


@runtime_checkable
class ResponseStrategy(Protocol):
    """Generates responses."""

    async def generate_response(self, context: ResponseContext) -> str | AsyncIterator[str] | None:
        """The answer, whole or piece by piece; then no model is asked. None when the model is to answer, as the
        context tells it by then."""
        ...


class Instructed:
    """A strategy that tells the model one thing more."""

    def __init__(self, instruction: str) -> None:
        self.instruction = instruction

    async def generate_response(self, context: ResponseContext) -> None:
        context.instruct(self.instruction)


STRATEGIES: Mapping[str, ResponseStrategy | None] = MappingProxyType(
    {"plain": None, "formal": Instructed(FORMAL), "brief": Instructed(BRIEF)}
)


def strategy_of(wish: ResponseStrategy | str | None, assistant: str) -> ResponseStrategy | None:
    """The strategy by its name, or as it was given; None for the plain one. Raises `ConfigError`."""
    if wish is None:
        return None
    if isinstance(wish, str):
        if wish not in STRATEGIES:
            hint = did_you_mean(wish, STRATEGIES, f"There is: {', '.join(STRATEGIES)}.")
            raise ConfigError(f"Assistant {assistant}: there is no strategy {wish!r}.{hint}")
        return STRATEGIES[wish]
    if isinstance(wish, type) or not isinstance(wish, ResponseStrategy):
        raise ConfigError(
            f"Assistant {assistant}: {wish!r} is no strategy; give an object with "
            "`async def generate_response(self, context)`."
        )
    return wish


class Strategic(Around):
    """Answers a run as `strategy` wants it."""

    def __init__(self, inner: Provider, strategy: ResponseStrategy, turn: ToolContext, states: TurnStates) -> None:
        super().__init__(inner)
        self._strategy = strategy
        self._turn = turn
        self._states = states
        self._context: ResponseContext | None = None

    def stream(self, request: ModelRequest) -> AsyncGenerator[Event, None]:
        # What it decided on the first call of the model holds for those behind tools, but not for another past.
        decided = self._context if self._context is not None and self._context.is_before(request) else None
        return self._begin(request) if decided is None else self._provider.stream(decided.applied(request))

    async def _begin(self, request: ModelRequest) -> AsyncGenerator[Event, None]:
        context = self._context = ResponseContext(request, self._provider, self._turn, self._states)
        try:
            answer = await self._strategy.generate_response(context)
            if answer is None:
                async with aclosing(_with_cost(self._provider.stream(context.applied(request)), context)) as events:
                    async for event in events:
                        yield event
                return
            if isinstance(answer, str):
                yield TextDelta(answer)
            else:
                async for piece in answer:
                    yield TextDelta(piece)
        except Exception:
            if context.usage is not None:  # what was asked on the side has its price, whatever came of it
                yield UsageReport(context.usage)
            raise
        yield UsageReport(context.usage or Usage())
        yield Finish("stop")


async def _with_cost(events: AsyncGenerator[Event, None], context: ResponseContext) -> AsyncGenerator[Event, None]:
    """The events; what a call costs includes what was asked on the side, also where it fails."""
    cost = context.usage
    async with aclosing(events):
        async for event in events:
            if cost is not None and isinstance(event, UsageReport):
                yield UsageReport(event.usage + cost)
                cost = None
                continue
            if cost is not None and isinstance(event, Error):
                yield UsageReport(cost)
            yield event


def _said(text: str) -> ChatMessage:
    return ChatMessage(role="user", text=text)
