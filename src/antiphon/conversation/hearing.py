"""What plugins make of what a person said, and of what an assistant answers."""

from dataclasses import dataclass

from msgspec import structs

from antiphon.conversation.live import Live
from antiphon.conversation.stream import TurnStream
from antiphon.domain import AnyPart, TextPart, Turn, TurnRecord, new_id
from antiphon.errors import NotAllowedError
from antiphon.plugins.hooks import Said
from antiphon.plugins.running import TurnHooks
from antiphon.storage.base import InboxStore, TurnReply


@dataclass(frozen=True)
class Hearing:
    """Lets plugins reword what was said before anything is made of it."""

    inbox: InboxStore
    live: Live

    async def take_up(self, turn: Turn, stream: TurnStream, hooks: TurnHooks) -> Turn:
        """The turn with the words that count, which are stored and shown by then. Raises `NotAllowedError` for one that
        is refused."""
        if stream.goes_on or not hooks.on_arrival:
            return turn
        said = Said(text=turn.text)
        heard = await hooks.message_arrived(said)
        if heard == said:
            return turn
        reworded = await self.inbox.reword(turn, heard.text, heard.notices)
        self.live.message(reworded.message)
        if reworded.retitled is not None:
            self.live.conversation("updated", reworded.retitled)
        stream.turn = structs.replace(turn, text=reworded.message.text)
        return stream.turn


async def told_to(hooks: TurnHooks, record: TurnRecord, reply: TurnReply) -> tuple[TurnRecord, TurnReply]:
    """An answer as it is stored: in the words that plugins give it, or refused."""
    if reply.role != "assistant" or not reply.text:
        return record, reply
    try:
        text = await hooks.answer_ready(reply.text)
    except NotAllowedError as error:
        refused = structs.replace(record, outcome="refused", reason=error.public)
        return refused, TurnReply(id=new_id(), role="system", text=error.public, in_context=False)
    return record, reply if text == reply.text else structs.replace(reply, text=text, parts=_reworded(reply, text))


def _reworded(reply: TurnReply, text: str) -> tuple[AnyPart, ...]:
    """The new words stand where the last of the old ones did."""
    places = [place for place, part in enumerate(reply.parts) if isinstance(part, TextPart)]
    said: AnyPart = TextPart(text=text)
    kept = [(place, part) for place, part in enumerate(reply.parts) if place not in places[:-1]]
    return tuple(said if isinstance(part, TextPart) else part for _, part in kept)
