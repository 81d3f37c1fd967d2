"""A conversation with an assistant from Python: no store, no platform, nobody but the two."""

from contextlib import suppress
from datetime import datetime
from typing import Any

from msgspec import Struct

from antiphon.assistants.answer import replay
from antiphon.assistants.assistant import Assistant
from antiphon.assistants.prompts import PromptManager, PromptValues
from antiphon.assistants.run import Ended
from antiphon.assistants.state import StatesInMemory, TurnStates
from antiphon.assistants.teamwork import Teamwork
from antiphon.domain import AnyPart, Outcome, TextPart, ToolPart, Usage, new_id, now
from antiphon.errors import ValidationError
from antiphon.providers.base import ChatMessage, Provider
from antiphon.runtime.base import Services
from antiphon.runtime.container import ServiceContainer
from antiphon.storage.base import StateStore
from antiphon.tools.base import ToolContext


class AssistantReply(Struct, frozen=True, kw_only=True):
    """An answer: its text, its parts in order, and what it cost. `reason` says why there is none, or not all of it."""

    text: str
    status: Outcome
    parts: tuple[AnyPart, ...]
    usage: Usage
    reason: str | None = None
    output: Any = None
    """The answer as data, where the assistant's answers have a form and this one is whole."""

    @property
    def calls(self) -> tuple[ToolPart, ...]:
        """The tools that were called, in order."""
        return tuple(part for part in self.parts if isinstance(part, ToolPart))

    def __str__(self) -> str:
        return self.text


class Dialogue:
    """Talks with `assistant`, whose model `provider` calls `model`, and remembers what was said.

    `services` is what its tools may ask for. State is kept in `states`, by default as long as the dialogue lives.
    """

    def __init__(
        self,
        assistant: Assistant,
        provider: Provider,
        model: str,
        *,
        services: Services | None = None,
        states: StateStore | None = None,
        person: str = "",
    ) -> None:
        self.assistant = assistant
        self.id = new_id()
        self._provider = provider
        self._model = model
        self._services = services or ServiceContainer()
        self._states = states or StatesInMemory()
        self._person = person
        self._said: tuple[ChatMessage, ...] = ()

    def hand_over(self, assistant: Assistant) -> None:
        """From the next message on `assistant` answers. It knows what was said, and has the state."""
        self.assistant = assistant

    async def process_message(self, text: str) -> AssistantReply:
        """The answer to one message. What the vendor does wrong is told by its `status` and `reason`."""
        states = TurnStates(self._states, self.id)
        context = ToolContext(
            person_id=self._person or "somebody",
            conversation_id=self.id,
            turn_id=new_id(),
            message_id=new_id(),
            assistant=self.assistant.name,
        )
        question = ChatMessage(role="user", text=text)
        messages = (instructions_of(self.assistant, self._person, now()), *self._said, question)
        team = Teamwork(
            lambda _: (self._provider, self._model),
            lambda member: instructions_of(member, self._person, now()),
            self._services,
            states,
        )
        ended = await team.run(self.assistant, (self._provider, self._model), messages, context).whole()
        self._said += (question, *replay(ended.parts))
        return AssistantReply(
            text=ended.text,
            status=ended.status,
            parts=ended.parts,
            usage=ended.usage,
            reason=ended.reason,
            output=_data(self.assistant, ended),
        )


def _data(assistant: Assistant, ended: Ended) -> Any:
    """What the model said last, behind its tools, as data; None where the answer is not whole, or no longer of the form
    because a guardrail has changed it."""
    if assistant.output is None or ended.status != "answered" or ended.code is not None:
        return None
    texts = [part.text for part in ended.parts if isinstance(part, TextPart)]
    with suppress(ValidationError):
        return assistant.output.read(texts[-1])
    return None


def instructions_of(
    assistant: Assistant, person: str, today: datetime, prompts: PromptManager | None = None
) -> ChatMessage:
    """The system prompt of an assistant; without `prompts` its template is one that every house has."""
    values = PromptValues(assistant=assistant.name, person=person, title="", today=today)
    return ChatMessage(role="system", text=(prompts or PromptManager()).render(assistant.instructions, values))
