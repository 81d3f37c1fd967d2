"""What a model is given of a conversation: instructions, as much of the history as fits, and the question."""

from collections.abc import Callable
from copy import copy
from datetime import datetime
from itertools import chain
from math import inf

from msgspec import structs

from antiphon.assistants.assistant import Assistant
from antiphon.assistants.attachments import expected_tokens, references
from antiphon.assistants.config import AssistantSettings
from antiphon.assistants.estimate import message_size, messages_size, size, tools_size
from antiphon.assistants.history import Histories, History, newest
from antiphon.assistants.languages import wanted
from antiphon.assistants.prompts import PromptManager, PromptValues
from antiphon.assistants.summing import given
from antiphon.assistants.windows import Windows
from antiphon.domain import Conversation, Person, Turn, now
from antiphon.files.config import FileSettings
from antiphon.providers.base import ChatMessage, ToolSpec


class ContextBuilder:
    """Makes prompts out of stored conversations.

    The newest messages come first into what the model has room for (`Windows`). An answer is given with its tool calls
    and their results, or where that is too much, with its text alone; never with one half of a call. The instructions
    and the person's own message are always there, whatever they weigh.

    What changes from turn to turn stands behind what stays, and up to where it stays is marked for the caches of
    vendors: behind the instructions, behind the past, and behind the question for the rounds of tools. A summary of
    what is not there any more stands in front of the oldest message that is.
    """

    def __init__(
        self,
        prompts: PromptManager,
        settings: AssistantSettings,
        windows: Windows | None = None,
        files: FileSettings | None = None,
        *,
        today: Callable[[], datetime] = now,
    ) -> None:
        self.prompts = prompts
        self.settings = settings
        self.windows = windows or Windows(settings)
        self._files = files or FileSettings()
        self._today = today
        self._fixed: dict[str, int] = {}
        self._tools: dict[str, tuple[tuple[ToolSpec, ...], int]] = {}
        self.histories = Histories(settings.history_messages, self.windows.most)

    def build(
        self,
        turn: Turn,
        assistant: Assistant,
        conversation: Conversation,
        person: Person,
        history: History,
        model: str,
        facts: str = "",
    ) -> tuple[ChatMessage, ...]:
        """The prompt of a turn for `model`; `history` is what came before it, `facts` what is remembered of the person
        and fits. Raises `ConfigError` when the assistant's prompt does not exist."""
        values = PromptValues(
            assistant=assistant.name,
            person=person.name,
            title=conversation.title,
            today=self._today(),
            language=person.language,
        )
        instructions = self.prompts.render(assistant.instructions, values)
        if person.language:
            instructions = f"{instructions}\n\n{wanted(person.language)}"
        system = ChatMessage(role="system", text=instructions, keep=True)
        question = ChatMessage(role="user", text=turn.text, notes=facts, files=references(turn.attachments), keep=True)
        files = expected_tokens(chain(question.files, history.files), self._files)
        tools = self._weight_of_tools(assistant)
        room = self.windows.room(model, answer=assistant.max_tokens, tools=tools, files=files)
        summary = given(history.summary.text) if history.summary else ""
        self._fixed[assistant.name] = room_taken = message_size(system) + size(summary)
        past = newest(history, room - room_taken - message_size(question))
        if past:
            past[-1] = structs.replace(past[-1], keep=True)
        first, *rest = (*past, question)
        if summary:
            first = structs.replace(first, notes="\n\n".join(filter(None, [summary, first.notes])))
        return (system, first, *rest)

    def room_for_files(self, assistant: Assistant, model: str, prompt: tuple[ChatMessage, ...]) -> float:
        """The tokens that are left for the files of a prompt; without files nothing is weighed."""
        if not any(message.files for message in prompt):
            return inf
        tools = self._weight_of_tools(assistant)
        return self.windows.room_for_files(model, messages_size(prompt), answer=assistant.max_tokens, tools=tools)

    def room_for_past(self, assistant: str, model: str, history: History) -> float:
        """The bytes that are left for the texts of the past in prompts such as the assistant's last one."""
        _, tools = self._tools.get(assistant, ((), 0))
        files = expected_tokens(history.files, self._files)
        return max(0.0, self.windows.room(model, tools=tools, files=files) - self._fixed.get(assistant, 0))

    def on(self, day: datetime) -> "ContextBuilder":
        """The same on another day. It keeps histories of its own."""
        other = copy(self)
        vars(other).update(_today=lambda: day, histories=Histories(self.histories.most_messages, self.windows.most))
        return other

    def instructions(self, assistant: Assistant) -> ChatMessage:
        """What an assistant is told that another one asks. Raises as `build`."""
        values = PromptValues(assistant=assistant.name, person="another assistant", title="", today=self._today())
        return ChatMessage(role="system", text=self.prompts.render(assistant.instructions, values))

    def _weight_of_tools(self, assistant: Assistant) -> int:
        """In bytes, counted once for the tools that an assistant has."""
        known, weight = self._tools.get(assistant.name, ((), 0))
        if known is not assistant.specs:
            weight = tools_size(assistant.specs)
            self._tools[assistant.name] = assistant.specs, weight
        return weight


def seen(history: History, prompt: tuple[ChatMessage, ...]) -> str:
    """How much of the past a prompt holds, for people; empty when that is all of it."""
    count, there = len(prompt) - 2, sum(len(one.forms[0].messages) for one in history.past)
    if history.summary:
        return f"a summary of what came before, and the {count} newest messages"
    return f"the {count} newest messages, and nothing of what came before" if count < there else ""
