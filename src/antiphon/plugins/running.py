"""The hooks of one turn, as the flow asks them."""

import asyncio
from collections.abc import Callable
from typing import Protocol, TypeVar

from msgspec import structs

from antiphon.assistants.cut import Cut
from antiphon.assistants.hooks import RunHooks
from antiphon.domain import Conversation, NoticePart, Person, ToolPart, Turn
from antiphon.errors import NotAllowedError
from antiphon.plugins.hooks import Moment, Said
from antiphon.plugins.listeners import HookListeners
from antiphon.providers.base import ChatMessage, ModelRequest, ToolCall

V = TypeVar("V")


class Stoppable(Protocol):
    """A turn that may be stopped, and says why it was (`conversation.stream.TurnStream`)."""

    @property
    def stopped(self) -> NoticePart | None: ...

    def on_cancel(self, stop: Callable[[], None]) -> None:
        """Whom to tell when it is; told at once when it has been."""
        ...


class TurnHooks:
    """Asks those who listen, of what is known of the turn by then. All raise `NotAllowedError`.

    Where the turn is stopped, nobody is waited for: what was to be asked stays as it is, and the turn is refused where
    a plugin must have seen it.
    """

    def __init__(self, listeners: HookListeners, turn: Turn, stream: Stoppable | None = None) -> None:
        self._listeners = listeners
        self._moment = Moment(turn=turn)
        self._stream = stream

    @property
    def on_arrival(self) -> bool:
        """Whether anybody wants to see what was said."""
        return self._listeners.listens("message_arrived")

    async def message_arrived(self, said: Said) -> Said:
        return await self._ask("message_arrived", said)

    async def session_resolved(self, turn: Turn, conversation: Conversation, person: Person) -> None:
        self._moment = Moment(turn=turn, conversation=conversation, person=person)
        await self._ask("session_resolved", conversation)

    async def context_built(self, assistant: str, messages: tuple[ChatMessage, ...]) -> tuple[ChatMessage, ...]:
        self._moment = structs.replace(self._moment, assistant=assistant)
        return await self._ask("context_built", messages)

    async def answer_ready(self, answer: str) -> str:
        """What was said before a stop comes to them too."""
        if self._stream is not None and self._stream.stopped is not None:
            return await self._listeners.ask("answer_ready", self._moment, answer)
        return await self._ask("answer_ready", answer)

    @property
    def of_run(self) -> RunHooks | None:
        """What the run of the turn asks, which is what a stop cuts short there; None where nobody listens to it."""
        return self if self._listeners.listens("before_model", "tool_wished", "tool_ended") else None

    async def before_model(self, request: ModelRequest) -> ModelRequest:
        return await self._listeners.ask("before_model", self._moment, request)

    async def tool_wished(self, call: ToolCall) -> ToolCall:
        return await self._listeners.ask("tool_wished", self._moment, call)

    async def tool_ended(self, part: ToolPart) -> ToolPart:
        return await self._listeners.ask("tool_ended", self._moment, part)

    async def _ask(self, hook: str, value: V) -> V:
        if self._stream is None or not self._listeners.listens(hook):
            return await self._listeners.ask(hook, self._moment, value)
        cut = Cut()
        cut.bind()
        self._stream.on_cancel(cut.request)
        try:
            if not cut.requested:
                cut.waiting = True
                return await self._listeners.ask(hook, self._moment, value)
        except asyncio.CancelledError as error:
            if not cut.took(error):
                raise
        finally:
            cut.waiting = False
        if self._stream.stopped is not None and self._listeners.requires(hook):
            raise NotAllowedError(self._stream.stopped.text)
        return value
