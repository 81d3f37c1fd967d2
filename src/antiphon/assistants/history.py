"""The past of conversations as models are given it, kept ready for the next turn.

To read and prepare sixty messages costs more than all else that is done for a turn, and from one turn to the next two
of them are new. What is kept is never wrong, only short: a turn asks the store for what came behind it.
"""

from collections import OrderedDict
from collections.abc import Iterator, Sequence

from msgspec import Struct

from antiphon.assistants.answer import replay, text_of
from antiphon.assistants.estimate import messages_size
from antiphon.domain import Conversation, Message, Turn
from antiphon.providers.base import ChatMessage

KEPT_BYTES = 16 * 2**20
"""Of all histories together; the one that was not used for longest goes first."""

HISTORY_BYTES, FORM_BYTES = 200, 240
"""What Python takes for each of them, however short the texts."""


class Form(Struct, frozen=True):
    """A way to give a model one message, and its weight in bytes."""

    messages: tuple[ChatMessage, ...]
    weight: int


class History(Struct, frozen=True, kw_only=True):
    """One conversation up to and with the ticket `upto`: the forms of each message, the fullest first; oldest first."""

    context_from: int
    upto: int
    forms: tuple[tuple[Form, ...], ...]

    @property
    def memory(self) -> int:
        """The bytes that keeping it takes, about."""
        return HISTORY_BYTES + sum(form.weight + FORM_BYTES for forms in self.forms for form in forms)


class Histories:
    """Histories by conversation, each with at most `most_messages` that weigh at most `most_bytes` in some form."""

    def __init__(self, most_messages: int, most_bytes: float) -> None:
        self.most_messages = most_messages
        self._most_bytes = most_bytes
        self._histories: OrderedDict[str, History] = OrderedDict()
        self._memory = 0

    def __len__(self) -> int:
        return len(self._histories)

    def of(self, conversation: Conversation, turn: Turn) -> History:
        """What is known of the time before `turn`; with `upto` 0 when that is nothing."""
        known = self._histories.get(conversation.id)
        if known is None or known.context_from != conversation.context_from or known.upto >= turn.ticket:
            return History(context_from=conversation.context_from, upto=0, forms=())
        return known

    def extend(self, history: History, turn: Turn, news: Sequence[Message]) -> History:
        """The history up to `turn`, given all its messages behind `history.upto`. It is kept as far as it is final."""
        added = [tuple(_forms(message)) for message in news]
        whole = History(
            context_from=history.context_from, upto=turn.ticket - 1, forms=self._trimmed((*history.forms, *added))
        )
        # A question without an outcome may get its answer yet, and that belongs right behind it.
        if not any(message.status == "accepted" for message in news):
            self._keep(turn.conversation_id, whole)
        return whole

    def _trimmed(self, forms: Sequence[tuple[Form, ...]]) -> tuple[tuple[Form, ...], ...]:
        """Without what no later turn can be given either: each only adds to what is before the budget's end."""
        weight, kept = 0.0, 0
        for each in reversed(forms[-self.most_messages :]):
            weight += min(form.weight for form in each)
            if weight > self._most_bytes:
                break
            kept += 1
        return tuple(forms[len(forms) - kept :])

    def _keep(self, conversation_id: str, history: History) -> None:
        before = self._histories.pop(conversation_id, None)
        self._memory += history.memory - (before.memory if before else 0)
        self._histories[conversation_id] = history
        while self._memory > KEPT_BYTES:
            _, oldest = self._histories.popitem(last=False)
            self._memory -= oldest.memory


def newest(history: History, budget: float) -> list[ChatMessage]:
    """The newest messages that weigh at most `budget` bytes, without a gap, from a question on."""
    kept: list[tuple[ChatMessage, ...]] = []
    for forms in reversed(history.forms):
        fitting = next((form for form in forms if form.weight <= budget), None)
        if fitting is None:
            break
        budget -= fitting.weight
        kept.append(fitting.messages)
    while kept and (not kept[-1] or kept[-1][0].role != "user"):
        kept.pop()  # vendors refuse a conversation that an assistant begins
    return [chat for messages in reversed(kept) for chat in messages]


def _forms(message: Message) -> Iterator[Form]:
    """The message as it was; then, for an answer with tools, only what was said."""
    if message.role == "user":
        yield _form((ChatMessage(role="user", text=message.text),))
        return
    whole = tuple(replay(message.parts)) if message.parts else _said(message.text)
    yield _form(whole)
    if any(chat.role == "tool" for chat in whole):
        yield _form(_said(text_of(message.parts)))


def _form(messages: tuple[ChatMessage, ...]) -> Form:
    return Form(messages, messages_size(messages))


def _said(text: str) -> tuple[ChatMessage, ...]:
    return (ChatMessage(role="assistant", text=text),) if text.strip() else ()
