"""What a model is given of a conversation: instructions, as much of the history as fits, and the question."""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime

from antiphon.assistants.answer import replay, text_of
from antiphon.assistants.assistant import Assistant
from antiphon.assistants.config import AssistantSettings
from antiphon.assistants.estimate import messages_size
from antiphon.assistants.prompts import PromptManager, PromptValues
from antiphon.domain import Conversation, Message, Person, Turn, now
from antiphon.providers.base import ChatMessage


class ContextBuilder:
    """Makes prompts out of stored conversations.

    The newest messages come first into the budget (`context_tokens`). An answer is given with its tool calls and
    their results, or where that is too much, with its text alone; never with one half of a call. The instructions
    and the person's own message are always there, whatever they weigh.
    """

    def __init__(
        self,
        prompts: PromptManager,
        settings: AssistantSettings,
        *,
        today: Callable[[], datetime] = now,
    ) -> None:
        self._prompts = prompts
        self._settings = settings
        self._today = today

    @property
    def most_messages(self) -> int:
        """How much of a history is looked at."""
        return self._settings.history_messages

    def build(
        self,
        turn: Turn,
        assistant: Assistant,
        conversation: Conversation,
        person: Person,
        history: Sequence[Message],
    ) -> tuple[ChatMessage, ...]:
        """The prompt of a turn; `history` is what came before it, oldest first. Raises `ConfigError` when the
        assistant's prompt does not exist."""
        values = PromptValues(
            assistant=assistant.name, person=person.name, title=conversation.title, today=self._today()
        )
        system = ChatMessage(role="system", text=self._prompts.render(assistant.instructions, values))
        question = ChatMessage(role="user", text=turn.text)
        budget = self._settings.context_tokens * self._settings.bytes_per_token
        return (system, *newest(history, budget - messages_size((system, question))), question)


def newest(messages: Sequence[Message], budget: float) -> list[ChatMessage]:
    """The newest of `messages` (oldest first) that weigh at most `budget` bytes, without a gap, from a question on."""
    kept: list[list[ChatMessage]] = []
    for message in reversed(messages):
        fitting = next((form for form in _forms(message) if messages_size(form) <= budget), None)
        if fitting is None:
            break
        budget -= messages_size(fitting)
        kept.append(fitting)
    while kept and (not kept[-1] or kept[-1][0].role != "user"):
        kept.pop()  # vendors refuse a conversation that an assistant begins
    return [chat for form in reversed(kept) for chat in form]


def _forms(message: Message) -> Iterable[list[ChatMessage]]:
    """The message as it was; then, for an answer with tools, only what was said."""
    if message.role == "user":
        yield [ChatMessage(role="user", text=message.text)]
        return
    whole = replay(message.parts) if message.parts else _said(message.text)
    yield whole
    if any(chat.role == "tool" for chat in whole):
        yield _said(text_of(message.parts))


def _said(text: str) -> list[ChatMessage]:
    return [ChatMessage(role="assistant", text=text)] if text.strip() else []
