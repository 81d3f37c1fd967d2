"""The past of conversations as models are given it, kept ready for the next turn.

To read and prepare sixty messages costs more than all else that is done for a turn, and from one turn to the next two
of them are new. What is kept is never wrong, only short: a turn asks the store for what came behind it.
"""

from collections import OrderedDict
from collections.abc import Iterator, Sequence

from msgspec import Struct, structs

from antiphon.assistants.answer import replay, text_of
from antiphon.assistants.attachments import references
from antiphon.assistants.estimate import messages_size, size
from antiphon.domain import Conversation, Message, Turn
from antiphon.providers.base import ChatMessage, File
from antiphon.storage.summaries import Summary

KEPT_BYTES = 16 * 2**20
"""Of all histories together; the one that was not used for longest goes first."""

HISTORY_BYTES, FORM_BYTES = 200, 240
"""What Python takes for each of them, however short the texts."""


class Form(Struct, frozen=True):
    """A way to give a model one message, and its weight in bytes."""

    messages: tuple[ChatMessage, ...]
    weight: int


class Past(Struct, frozen=True):
    """One message of the past: its ticket, its forms, the fullest first, the least of their weights, the memory it
    takes, and its files, which have no part in the weights."""

    ticket: int
    forms: tuple[Form, ...]
    least: int
    memory: int
    files: tuple[File, ...] = ()


class History(Struct, frozen=True, kw_only=True):
    """One conversation up to and with the ticket `upto`, oldest message first, and what all of them weigh. Where there
    is a `summary`, they are those behind it."""

    context_from: int
    upto: int
    past: tuple[Past, ...] = ()
    full: int = 0
    least: int = 0
    memory: int = HISTORY_BYTES
    summary: Summary | None = None

    @property
    def files(self) -> Iterator[File]:
        """All its files, the newest first."""
        return (file for one in reversed(self.past) for file in one.files)


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
            return History(context_from=conversation.context_from, upto=0)
        return known

    def kept(self, conversation_id: str) -> History | None:
        """What is known of a conversation, up to whichever turn."""
        return self._histories.get(conversation_id)

    def sum_up(self, conversation_id: str, summary: Summary) -> None:
        """Lets `summary` stand for what it tells of, in the turns to come."""
        known = self._histories.get(conversation_id)
        if known is not None:
            self._keep(conversation_id, self._behind(summary, known))

    def _behind(self, summary: Summary, history: History) -> History:
        """The history with the summary in place of what it tells of; unchanged where it tells of something else."""
        before = history.summary.upto if history.summary else 0
        if history.context_from != summary.context_from or not before < summary.upto <= history.upto:
            return history
        left = [one for one in history.past if one.ticket > summary.upto]
        return self._joined(summed_up(summary), history.upto, left)

    def extend(self, history: History, turn: Turn, news: Sequence[Message]) -> History:
        """The history up to `turn`, given all its messages behind `history.upto`. It is kept as far as it is final."""
        kept = self._histories.get(turn.conversation_id)
        if kept is not None and kept.summary is not None:
            history = self._behind(kept.summary, history)  # which was made while the turn waited for the store
        whole = self._joined(history, turn.ticket - 1, [past_of(message) for message in news])
        # A question without an outcome may get its answer yet, and that belongs right behind it.
        if not any(message.status in {"accepted", "waiting"} for message in news):
            self._keep(turn.conversation_id, whole)
        return whole

    def _joined(self, history: History, upto: int, added: list[Past]) -> History:
        """Without what no later turn can be given either: each only adds to what is before the budget's end.

        The sums are carried along, so that this costs what is new and not what there is."""
        past = (*history.past, *added)
        full = history.full + sum(one.forms[0].weight for one in added)
        least = history.least + sum(one.least for one in added)
        memory = history.memory + sum(one.memory for one in added)
        gone = 0
        while len(past) - gone > self.most_messages or least > self._most_bytes:
            oldest = past[gone]
            full, least, memory = full - oldest.forms[0].weight, least - oldest.least, memory - oldest.memory
            gone += 1
        return structs.replace(history, upto=upto, past=past[gone:], full=full, least=least, memory=memory)

    def _keep(self, conversation_id: str, history: History) -> None:
        before = self._histories.pop(conversation_id, None)
        self._memory += history.memory - (before.memory if before else 0)
        self._histories[conversation_id] = history
        while self._memory > KEPT_BYTES:
            _, oldest = self._histories.popitem(last=False)
            self._memory -= oldest.memory


def summed_up(summary: Summary) -> History:
    """The history of a conversation of which nothing is known but its summary."""
    return History(
        context_from=summary.context_from,
        upto=summary.upto,
        memory=HISTORY_BYTES + FORM_BYTES + size(summary.text),
        summary=summary,
    )


def newest(history: History, budget: float) -> list[ChatMessage]:
    """The newest messages that weigh at most `budget` bytes, without a gap, from a question on."""
    kept = [one.forms[0].messages for one in history.past] if history.full <= budget else _fitting(history, budget)
    first = 0
    while first < len(kept) and (not kept[first] or kept[first][0].role != "user"):
        first += 1  # vendors refuse a conversation that an assistant begins
    return [chat for messages in kept[first:] for chat in messages]


def _fitting(history: History, budget: float) -> list[tuple[ChatMessage, ...]]:
    kept: list[tuple[ChatMessage, ...]] = []
    for one in reversed(history.past):
        fitting = next((form for form in one.forms if form.weight <= budget), None)
        if fitting is None:
            break
        budget -= fitting.weight
        kept.append(fitting.messages)
    return kept[::-1]


def shown_to_models(message: Message) -> bool:
    """Whether it is part of what was said, and not of what the house did."""
    return message.in_context and message.role != "system"


def past_of(message: Message) -> Past:
    """A message as models may be given it later."""
    forms = tuple(_forms(message))
    weights = [form.weight for form in forms]
    files = forms[0].messages[0].files if forms[0].messages else ()
    return Past(message.ticket, forms, min(weights), sum(weights) + FORM_BYTES * len(forms), files)


def _forms(message: Message) -> Iterator[Form]:
    """The message as it was; then, for an answer with tools, only what was said."""
    if message.role == "user":
        yield _form((ChatMessage(role="user", text=message.text, files=references(message.attachments)),))
        return
    whole = tuple(replay(message.parts)) if message.parts else _said(message.text)
    yield _form(whole)
    if any(chat.role == "tool" for chat in whole):
        yield _form(_said(text_of(message.parts)))


def _form(messages: tuple[ChatMessage, ...]) -> Form:
    return Form(messages, messages_size(messages))


def _said(text: str) -> tuple[ChatMessage, ...]:
    return (ChatMessage(role="assistant", text=text),) if text.strip() else ()
