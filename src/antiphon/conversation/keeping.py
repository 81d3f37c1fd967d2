"""Conversations that took place elsewhere, kept among those of a person."""

from collections.abc import Sequence

from msgspec import Struct

from antiphon.conversation.ending import TurnEnding
from antiphon.conversation.history import ConversationHistory
from antiphon.conversation.live import Live
from antiphon.domain import Attachment, ChannelMessage, Conversation, Person, TurnRecord
from antiphon.storage.base import InboxStore, TurnReply


class Exchange(Struct, frozen=True, kw_only=True):
    """A question and what it was answered. The same `key` in the same conversation is the same exchange."""

    key: str
    question: str
    record: TurnRecord
    reply: TurnReply
    attachments: tuple[Attachment, ...] = ()


class ConversationKeeper:
    """Keeps exchanges that nobody here has to answer any more; the person can go on with them on the page."""

    def __init__(self, history: ConversationHistory, inbox: InboxStore, ending: TurnEnding, live: Live) -> None:
        self._history = history
        self._inbox = inbox
        self._ending = ending
        self._live = live

    async def keep(
        self, person: Person, account: str, name: str, assistant: str, exchanges: Sequence[Exchange]
    ) -> Conversation:
        """The conversation that this person calls `name`, with these at its end, each once. `account` is theirs on the
        web. Raises `ServiceError` when they cannot be stored now."""
        conversation = await self._history.create(person, client_id=name, assistant=assistant)
        for exchange in exchanges:
            message = ChannelMessage(
                adapter="web",
                place=conversation.id,
                account=account,
                key=exchange.key,
                text=exchange.question,
                attachments=exchange.attachments,
            )
            accepted = await self._inbox.accept(message, assistant=assistant)
            if not accepted.duplicate:
                self._live.message(accepted.message)
                await self._ending.end(accepted.turn, exchange.record, exchange.reply, patient=False)
        return conversation
