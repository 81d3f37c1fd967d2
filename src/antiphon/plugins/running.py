"""The hooks of one turn, as the flow asks them."""

from msgspec import structs

from antiphon.assistants.hooks import RunHooks
from antiphon.domain import Conversation, Person, ToolPart, Turn
from antiphon.plugins.hooks import Moment, Said
from antiphon.plugins.listeners import HookListeners
from antiphon.providers.base import ChatMessage, ModelRequest, ToolCall


class TurnHooks:
    """Asks those who listen, of what is known of the turn by then. All raise `NotAllowedError`."""

    def __init__(self, listeners: HookListeners, turn: Turn) -> None:
        self._listeners = listeners
        self._moment = Moment(turn=turn)

    @property
    def on_arrival(self) -> bool:
        """Whether anybody wants to see what was said."""
        return self._listeners.listens("message_arrived")

    @property
    def must_hear(self) -> bool:
        """Whether nothing may be made of what was said before they have seen it."""
        return self._listeners.requires("message_arrived")

    async def message_arrived(self, said: Said) -> Said:
        return await self._listeners.ask("message_arrived", self._moment, said)

    async def session_resolved(self, turn: Turn, conversation: Conversation, person: Person) -> None:
        self._moment = Moment(turn=turn, conversation=conversation, person=person)
        await self._listeners.ask("session_resolved", self._moment, conversation)

    async def context_built(self, assistant: str, messages: tuple[ChatMessage, ...]) -> tuple[ChatMessage, ...]:
        self._moment = structs.replace(self._moment, assistant=assistant)
        return await self._listeners.ask("context_built", self._moment, messages)

    async def answer_ready(self, answer: str) -> str:
        return await self._listeners.ask("answer_ready", self._moment, answer)

    @property
    def of_run(self) -> RunHooks | None:
        """What the run of the turn asks; None where nobody listens to it."""
        listens = self._listeners.listens("before_model", "tool_wished", "tool_ended")
        return _Running(self._listeners, self._moment) if listens else None


class _Running:
    def __init__(self, listeners: HookListeners, moment: Moment) -> None:
        self._listeners = listeners
        self._moment = moment

    async def before_model(self, request: ModelRequest) -> ModelRequest:
        return await self._listeners.ask("before_model", self._moment, request)

    async def tool_wished(self, call: ToolCall) -> ToolCall:
        return await self._listeners.ask("tool_wished", self._moment, call)

    async def tool_ended(self, part: ToolPart) -> ToolPart:
        return await self._listeners.ask("tool_ended", self._moment, part)
