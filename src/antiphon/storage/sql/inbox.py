"""The inbox: every inbound message becomes a turn here, and every turn ends here."""

from collections.abc import Collection, Mapping, Sequence
from operator import itemgetter

import msgspec

from antiphon.domain import (
    Attachment,
    ChannelMessage,
    Conversation,
    Message,
    NoticePart,
    Person,
    Turn,
    TurnRecord,
    new_id,
    now,
)
from antiphon.errors import ServiceError, ValidationError
from antiphon.storage.base import Accepted, Chunk, Finished, Reworded, TurnReply, Unfinished
from antiphon.storage.sql.conversations import conversation_values
from antiphon.storage.sql.experiments import result_steps
from antiphon.storage.sql.people import known_person
from antiphon.storage.sql.records import (
    ATTACHMENTS,
    PARTS,
    conversation_of,
    dump,
    load_record,
    message_of,
    message_values,
    micros,
    parts_of,
    person_of,
    storable,
    storable_data,
    title_of,
    turn_of,
)
from antiphon.storage.sql.unit import Alone, Database, Row, Unit, many, one, sure, there, together

_NO_LIMIT = 2**31


class SqlInbox:
    """`InboxStore` on any SQL database, for the process `node`; without one it is alone, and all turns are its own."""

    def __init__(self, database: Database, node: str = "") -> None:
        self._database = database
        self._node = node

    async def accept(self, message: ChannelMessage, *, assistant: str, most: int | None = None) -> Accepted:
        return await self._database.write(_accept, message, assistant, new_id(), self._node, most)

    async def parties(self, turn: Turn) -> tuple[Conversation, Person] | None:
        return await self._database.read(_parties, turn)

    async def begin(self, turn: Turn, record: TurnRecord, *, context: int, after: int = 0) -> list[Message] | None:
        if not self._node:
            return await self._database.write(_begin, turn, record, context, after)
        return await self._database.write(_begin_among, self._node, turn, record, context, after)

    async def reword(self, turn: Turn, text: str, notices: Sequence[NoticePart]) -> Reworded:
        return await self._database.write(_reword, turn, text, tuple(notices))

    async def append(self, turn_id: str, chunks: Sequence[Chunk]) -> None:
        if chunks:
            await self._database.write(append, turn_id, tuple(chunks))

    async def finish(
        self, turn: Turn, record: TurnRecord, reply: TurnReply | None, *, deliver: bool = True
    ) -> Finished:
        return await self._database.write(_finish, turn, record, reply, deliver, self._node)

    async def unfinished(self, turn_ids: Collection[str] | None = None) -> list[Unfinished]:
        return await self._database.read(_unfinished, self._node, turn_ids)

    async def latest(self, conversation_id: str) -> TurnRecord | None:
        return await self._database.read(_latest, conversation_id)


# --- accept -------------------------------------------------------------------------------------------------------


def _accept(message: ChannelMessage, assistant: str, turn_id: str, node: str, most: int | None) -> Unit[Accepted]:
    person, known, its_node = yield from _sender_and_turn(message)
    if known is not None:
        return (yield from _accepted_before(known, turn_id, _elsewhere(its_node, node)))
    person = person or (yield from known_person(message.adapter, message.account, message.sender))
    conversation, position, created = yield from _next_position(message, person, assistant)
    turn = Turn(
        id=turn_id,
        conversation_id=conversation.id,
        message_id=new_id(),
        ticket=position,
        person_id=person.id,
        text=storable(message.text),
        target=message.target,
        created_at=now(),
        attachments=storable_data(message.attachments, ATTACHMENTS),
    )
    question = Message(
        id=turn.message_id,
        conversation_id=conversation.id,
        position=position,
        ticket=position,
        role="user",
        text=turn.text,
        turn_id=turn.id,
        status="accepted",
        created_at=turn.created_at,
        person=person.id,
        attachments=turn.attachments,
    )
    # In one order, so that no two processes wait for each other.
    if named := sorted({file.id for file in turn.attachments if file.id is not None}):
        uses = ({"file_id": file_id, "conversation_id": conversation.id} for file_id in named)
        yield from together(*(("file_use", use) for use in uses))
    its_node = yield from _add(question, _turn_values(turn, message.key, node), most)
    return Accepted(
        turn=turn,
        message=question,
        conversation=conversation,
        created=created,
        duplicate=False,
        elsewhere=_elsewhere(its_node, node),
    )


def _add(question: Message, turn: Mapping[str, object], most: int | None) -> Unit[str]:
    """Stores a message and its turn; returns the node that will see it through. A process that is alone need not ask
    whose the conversation is."""
    add = "message_add", message_values(question)
    if not turn["node"]:
        yield from together(add, ("turn_add", turn))
        return ""
    rows = yield from together(add, ("turn_add_among", {**turn, "most": _NO_LIMIT if most is None else most}))
    if not rows:
        raise ServiceError("Too many messages wait here already. Wait for an answer, or stop the running one.")
    return str(rows[0][0])


def _elsewhere(its_node: str, node: str) -> str | None:
    return its_node if node and its_node != node else None


def _sender_and_turn(message: ChannelMessage) -> Unit[tuple[Person | None, Turn | None, str]]:
    """Who sent a message, the turn that it became when it came before, and the node of that."""
    key = {"adapter": message.adapter, "place": message.place, "key": message.key}
    row = yield from one("sender_and_turn", account=message.account, **key)
    if row is not None:
        return person_of(row), None if row[6] is None else turn_of(row[6:]), row[-1] or ""
    known = yield from one("turn_by_key", **key)
    return None, turn_of(known) if known else None, known[-1] if known else ""


def _accepted_before(turn: Turn, turn_id: str, elsewhere: str | None) -> Unit[Accepted]:
    """The turn with this id is what this very call stored, before its connection broke: no duplicate."""
    message = yield from sure("message_by_id", id=turn.message_id)
    conversation = yield from sure("conversation_by_id", id=turn.conversation_id)
    return Accepted(
        turn=turn,
        message=message_of(message),
        conversation=conversation_of(conversation),
        created=turn.id == turn_id and turn.ticket == 1 and turn.target.adapter != "web",
        duplicate=turn.id != turn_id,
        elsewhere=elsewhere,
    )


def _next_position(message: ChannelMessage, person: Person, assistant: str) -> Unit[tuple[Conversation, int, bool]]:
    """The conversation of a message, the position of the message in it and whether the conversation is new."""
    at, title = now(), _title(message.text, message.attachments)
    if message.adapter == "web":
        row = yield from one("conversation_grow", id=message.place, at=micros(at), new_title=title)
        if row is None:
            raise ValidationError("This conversation does not exist (any more): begin a new one.")
    else:
        row = yield from one(
            "conversation_grow_place",
            of_adapter=message.adapter,
            of_place=message.place,
            at=micros(at),
            new_title=title,
        )
    if row is not None:
        return conversation_of(row), row[-1], False
    conversation = Conversation(
        id=new_id(),
        title=title,
        assistant=assistant,
        created_at=at,
        updated_at=at,
        person_id=person.id,
        adapter=message.adapter,
        place=message.place,
    )
    yield "conversation_add", conversation_values(conversation, last_position=1)
    return conversation, 1, True


def _turn_values(turn: Turn, key: str, node: str) -> dict[str, object]:
    return {
        "id": turn.id,
        "adapter": turn.target.adapter,
        "place": turn.target.place,
        "key": key,
        "thread": turn.target.thread,
        "reply_to": turn.target.reply_to,
        "conversation_id": turn.conversation_id,
        "message_id": turn.message_id,
        "ticket": turn.ticket,
        "person_id": turn.person_id,
        "state": "accepted",
        "model": None,
        "record": None,
        "created_at": micros(turn.created_at),
        "ended_at": None,
        "node": node,
    }


def _parties(turn: Turn) -> Unit[tuple[Conversation, Person] | None]:
    conversation = yield from one("conversation_by_id", id=turn.conversation_id)
    person = yield from one("person_by_id", id=turn.person_id)
    return (conversation_of(conversation), person_of(person)) if conversation and person else None


def _reword(turn: Turn, text: str, notices: Sequence[NoticePart]) -> Unit[Reworded]:
    message = message_of((yield from sure("message_by_id", id=turn.message_id)))
    there_already = {part.code for part in message.parts if isinstance(part, NoticePart)}
    if not there_already.isdisjoint(notice.code for notice in notices):
        return Reworded(message=message)
    parts = dump(storable_data((*message.parts, *notices), PARTS))
    row = yield from sure("message_reword", of_message=message.id, new_text=storable(text), new_parts=parts)
    reworded = message_of(row)
    conversation = conversation_of((yield from sure("conversation_by_id", id=turn.conversation_id)))
    title = _title(reworded.text, turn.attachments)
    if conversation.title != _title(message.text, turn.attachments) or conversation.title == title:
        return Reworded(message=reworded)
    row = yield from sure("conversation_retitle", id=conversation.id, new_title=title)
    return Reworded(message=reworded, retitled=conversation_of(row))


def _title(text: str, attachments: Sequence[Attachment]) -> str:
    return title_of(text or next((file.name for file in attachments), ""))


# --- the answer ---------------------------------------------------------------------------------------------------


@Alone
def _begin(turn: Turn, record: TurnRecord, context: int, after: int) -> Unit[list[Message]]:
    begin = "turn_begin", {"id": turn.id, "new_record": dump(storable_data(record, TurnRecord)), "node": ""}
    rows = yield from together(begin, ("message_context", _context_values(turn, context, after)))
    return [message_of(row) for row in reversed(rows)]


@Alone
def _begin_among(node: str, turn: Turn, record: TurnRecord, context: int, after: int) -> Unit[list[Message] | None]:
    """Two messages to the server, because the first one tells whether the turn is still this node's."""
    kept = dump(storable_data(record, TurnRecord))
    if not (yield from one("turn_begin", id=turn.id, new_record=kept, node=node)):
        return None
    rows = yield from many("message_context", **_context_values(turn, context, after))
    return [message_of(row) for row in reversed(rows)]


def _context_values(turn: Turn, context: int, after: int) -> dict[str, object]:
    return {"conversation_id": turn.conversation_id, "after": after, "ticket": turn.ticket, "limit": context}


@Alone
def append(turn_id: str, chunks: Sequence[Chunk]) -> Unit[None]:
    """Adds what is behind the last chunk."""
    (found,) = yield from sure("chunk_last", turn_id=turn_id)
    last = -1 if found is None else found
    new = [(number, chunk) for number, chunk in enumerate(chunks) if chunk.seq > last]
    if new:
        yield from together(*(("chunk_add", _chunk_values(turn_id, number, chunk)) for number, chunk in new))


def _chunk_values(turn_id: str, number: int, chunk: Chunk) -> dict[str, object]:
    text = storable(chunk.text)
    return {"turn_id": turn_id, "seq": chunk.seq, "number": number, "kind": chunk.kind, "text": text}


def _finish(turn: Turn, record: TurnRecord, reply: TurnReply | None, deliver: bool, node: str) -> Unit[Finished]:
    at, kept = micros(now()), dump(storable_data(record, TurnRecord))
    ended = yield from one("turn_end", id=turn.id, by_model=record.model, new_record=kept, at=at, node=node)
    if ended is None:
        return (yield from _finished_before(turn, node))
    visible = reply is None or reply.in_context
    settle = "message_settle", {"of_message": turn.message_id, "outcome": record.outcome, "visible": visible}
    drop = "chunk_drop", {"turn_id": turn.id}
    counted = () if record.assignment is None else result_steps(turn, record, record.assignment)
    if reply is None:
        touch = "conversation_touch", {"id": turn.conversation_id, "at": at}
        rows = yield from together(settle, drop, *counted, touch)
        return Finished(message=None, conversation=conversation_of(there(rows)), delivery_id=None)
    grow = "conversation_grow", {"id": turn.conversation_id, "at": at, "new_title": ""}
    rows = yield from together(settle, drop, *counted, grow)
    return (yield from _answer(turn, record, reply, there(rows), deliver))


def _answer(turn: Turn, record: TurnRecord, reply: TurnReply, row: Row, deliver: bool) -> Unit[Finished]:
    """Stores the reply in its conversation, which has grown by it to `row`."""
    conversation = conversation_of(row)
    message = Message(
        id=reply.id,
        conversation_id=turn.conversation_id,
        position=row[-1],
        ticket=turn.ticket,
        role=reply.role,
        text=storable(reply.text),
        turn_id=turn.id,
        status=record.outcome,
        created_at=conversation.updated_at,
        parts=storable_data(reply.parts, PARTS),
        in_context=reply.in_context,
    )
    add = "message_add", message_values(message)
    if not deliver:
        yield add
        return Finished(message=message, conversation=conversation, delivery_id=None)
    delivery_id = new_id()
    yield from together(add, ("delivery_add", _delivery_values(delivery_id, turn, message)))
    return Finished(message=message, conversation=conversation, delivery_id=delivery_id)


def _finished_before(turn: Turn, node: str) -> Unit[Finished]:
    conversation = yield from one("conversation_by_id", id=turn.conversation_id)
    if conversation is None:
        return Finished(message=None, conversation=None, delivery_id=None)
    if not (yield from one("turn_mine", id=turn.id, node=node)):
        return Finished(message=None, conversation=None, delivery_id=None, elsewhere=True)
    reply = yield from one("reply_of_turn", conversation_id=turn.conversation_id, ticket=turn.ticket, turn_id=turn.id)
    return Finished(
        message=message_of(reply) if reply else None,
        conversation=conversation_of(conversation),
        delivery_id=reply[-1] if reply else None,
    )


def _delivery_values(delivery_id: str, turn: Turn, message: Message) -> dict[str, object]:
    return {
        "id": delivery_id,
        "conversation_id": turn.conversation_id,
        "turn_id": turn.id,
        "message_id": message.id,
        **msgspec.structs.asdict(turn.target),
        "state": "pending",
        "attempts": 0,
        "due_at": micros(message.created_at),
        "error": None,
        "platform_id": None,
    }


# --- after a crash ------------------------------------------------------------------------------------------------


def _unfinished(node: str, turn_ids: Collection[str] | None) -> Unit[list[Unfinished]]:
    rows: list[Row] = []
    if turn_ids is None:
        rows = yield from many("turn_open", node=node)
    for turn_id in turn_ids or ():
        rows += yield from many("turn_open_by_id", id=turn_id, node=node)
    return (yield from unfinished_of(sorted(rows, key=itemgetter(0))))


def unfinished_of(rows: Sequence[Row]) -> Unit[list[Unfinished]]:
    """Open turns, of rows with the record behind the state, with what is stored of their answers."""
    found = []
    for row in rows:
        chunks = yield from many("chunk_list", turn_id=row[0])
        parts, seq = parts_of(chunks, row[0]), chunks[-1][2] if chunks else 0
        record = load_record(row[13], row[0]) if row[13] else None
        found.append(Unfinished(turn=turn_of(row), state=row[12], parts=parts, record=record, seq=seq))
    return found


def _latest(conversation_id: str) -> Unit[TurnRecord | None]:
    row = yield from one("turn_latest", conversation_id=conversation_id)
    return load_record(row[0], conversation_id) if row else None
