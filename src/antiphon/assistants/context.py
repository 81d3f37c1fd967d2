"""What a model is given of a conversation: instructions, as much of the history as fits, and the question."""

from collections.abc import Callable
from datetime import datetime

from antiphon.assistants.assistant import Assistant
from antiphon.assistants.config import AssistantSettings
from antiphon.assistants.estimate import messages_size
from antiphon.assistants.history import Histories, History, newest
from antiphon.assistants.prompts import PromptManager, PromptValues
from antiphon.domain import Conversation, Person, Turn, now
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
        self._budget = settings.context_tokens * settings.bytes_per_token
        self._today = today
        self.histories = Histories(settings.history_messages, self._budget)

    def build(
        self,
        turn: Turn,
        assistant: Assistant,
        conversation: Conversation,
        person: Person,
        history: History,
        facts: str = "",
    ) -> tuple[ChatMessage, ...]:
        """The prompt of a turn; `history` is what came before it, `facts` what is remembered of the person and fits.
        Raises `ConfigError` when the assistant's prompt does not exist."""
        values = PromptValues(
            assistant=assistant.name, person=person.name, title=conversation.title, today=self._today()
        )
        instructions = self._prompts.render(assistant.instructions, values)
        # Behind the instructions, which stay the beginning that a vendor's prompt cache knows.
        system = ChatMessage(role="system", text=f"{instructions}\n\n{facts}" if facts else instructions)
        question = ChatMessage(role="user", text=turn.text)
        return (system, *newest(history, self._budget - messages_size((system, question))), question)

    def instructions(self, assistant: Assistant) -> ChatMessage:
        """What an assistant is told that another one asks. Raises as `build`."""
        values = PromptValues(assistant=assistant.name, person="another assistant", title="", today=self._today())
        return ChatMessage(role="system", text=self._prompts.render(assistant.instructions, values))
