"""Every hook of the flow, in the order in which a turn comes to them: the whole contract of a plugin that listens.

A plugin overrides those that it wants, as `async def`. What it gives takes the place of what it was given; None leaves
it as it is. `raise NotAllowedError("Why not.")` refuses where the sentence below says so.
"""

from msgspec import Struct

from antiphon.domain import Conversation, NoticePart, Person, ToolPart, Turn, TurnRecord
from antiphon.providers.base import ChatMessage, ModelRequest, ToolCall


class Moment(Struct, frozen=True, kw_only=True):
    """The turn at which a hook is called, with what is known of it by then: `conversation` and `person` from
    `session_resolved` on, the name of the `assistant` from `context_built` on."""

    turn: Turn
    conversation: Conversation | None = None
    person: Person | None = None
    assistant: str | None = None


class Said(Struct, frozen=True, kw_only=True):
    """What a person said. `notices` are shown with the message; they tell what a plugin has made of it."""

    text: str
    notices: tuple[NoticePart, ...] = ()

    def reworded(self, text: str, notice: NoticePart | None = None) -> "Said":
        """Other words, and why."""
        return Said(text=text, notices=(*self.notices, notice) if notice else self.notices)


class Hooks:
    """All of them do nothing here."""

    async def message_arrived(self, moment: Moment, said: Said) -> Said | None:
        """A message is taken up: it may be refused, or get other words, which are then what is stored and shown."""

    async def session_resolved(self, moment: Moment, conversation: Conversation) -> None:
        """It is known who speaks in which conversation: the turn may be refused, a command too."""

    async def context_built(self, moment: Moment, messages: tuple[ChatMessage, ...]) -> tuple[ChatMessage, ...] | None:
        """The prompt is put together: messages of it may be added, changed or left out."""

    async def before_model(self, moment: Moment, request: ModelRequest) -> ModelRequest | None:
        """A model is about to be asked, once for each round of tools: options may change, or the turn be refused."""

    async def tool_wished(self, moment: Moment, call: ToolCall) -> ToolCall | None:
        """A model wishes for a tool, and no person was asked yet: its arguments may change, or the call be refused."""

    async def tool_ended(self, moment: Moment, part: ToolPart) -> ToolPart | None:
        """A tool is done or has failed: its result may change before the model reads it."""

    async def answer_ready(self, moment: Moment, answer: str) -> str | None:
        """The whole answer is there and not yet stored: it may get other words, or be refused."""

    async def reply_stored(self, moment: Moment, record: TurnRecord, reply: str) -> None:
        """A turn has ended, whatever its outcome: plugins are told, beside the flow, and change nothing any more."""


HOOKS = tuple(name for name in vars(Hooks) if not name.startswith("_"))
"""Their names, in order."""
