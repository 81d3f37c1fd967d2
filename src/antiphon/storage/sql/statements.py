"""Every statement of the store, as SQLAlchemy Core. `generate.py` writes them out as text for each database.

The name of a statement is the name of its constant in small letters; `Unit`s yield it with its parameters.
Fixed values are literals and not parameters, so that partial indexes apply.
"""

from typing import Any

from sqlalchemy import (
    BigInteger,
    BindParameter,
    Boolean,
    ColumnElement,
    CompoundSelect,
    Insert,
    Table,
    Text,
    and_,
    bindparam,
    case,
    delete,
    func,
    insert,
    literal_column,
    null,
    or_,
    select,
    text,
    true,
    union_all,
    update,
)

from antiphon.storage.schema import accounts, chunks, conversations, inbox, messages, notes, outbox, people, states


class InsertRow:
    """An INSERT of one row with a parameter for each of its columns, but for a key that the database counts."""

    def __init__(self, table: Table) -> None:
        self.columns = [column.name for column in table.columns if column is not table.autoincrement_column]
        self.insert: Insert = insert(table)


def _is(word: str) -> ColumnElement[str]:
    return literal_column(f"'{word}'", Text)


def _text(name: str) -> BindParameter[str]:
    return bindparam(name, type_=Text)


def _number(name: str) -> BindParameter[int]:
    return bindparam(name, type_=BigInteger)


def _columns(table: Table, names: str) -> list[ColumnElement[Any]]:
    return [table.c[name] for name in names.split()]


_ONE = literal_column("1", BigInteger)
_FIRST = literal_column("0", BigInteger)  # an explicit OFFSET, or SQLAlchemy adds a parameter for it on SQLite
_ENDED = _is("ended")
_OPEN = inbox.c.state != _ENDED
_SENDABLE = outbox.c.state.in_([_is("pending"), _is("sending")])
_MINE = or_(inbox.c.node == _text("node"), _text("node") == _is(""))
"""A process that is alone is nobody's node, and all turns are its own."""

_CONVERSATION = _columns(
    conversations, "id title assistant created_at updated_at person_id adapter place model context_from"
)
_MESSAGE = _columns(
    messages, "id conversation_id position ticket role text turn_id status created_at parts person in_context"
)
_TURN = [
    *_columns(inbox, "id conversation_id message_id ticket person_id"),
    messages.c.text,
    *_columns(inbox, "adapter place thread reply_to created_at attachments state"),
]
_PERSON = _columns(people, "id name created_at operator preferred_model")
_NOTE = _columns(notes, "id person_id text source_message_id created_at")
_turns = inbox.join(messages, messages.c.id == inbox.c.message_id)
_replies = outbox.join(inbox, inbox.c.id == outbox.c.turn_id)

# --- conversations ------------------------------------------------------------------------------------------------

CONVERSATION_ADD = InsertRow(conversations)
CONVERSATION_BY_ID = select(*_CONVERSATION).where(conversations.c.id == _text("id"))
CONVERSATION_BY_PLACE = select(*_CONVERSATION).where(
    conversations.c.adapter == _text("adapter"), conversations.c.place == _text("place")
)
CONVERSATION_LIST = (
    select(*_CONVERSATION)
    .where(conversations.c.person_id == _text("person_id"), conversations.c.updated_at < _number("before"))
    .order_by(conversations.c.updated_at.desc(), conversations.c.id.desc())
    .limit(_number("limit"))
    .offset(_FIRST)
)
CONVERSATION_CHANGE = (
    update(conversations)
    .where(conversations.c.id == _text("id"))
    .values(
        title=func.coalesce(_text("new_title"), conversations.c.title),
        model=case(
            (_text("new_model").is_(None), conversations.c.model),
            (_text("new_model") == _is(""), null()),
            else_=_text("new_model"),
        ),
        context_from=case(
            (bindparam("reset", type_=Boolean) == true(), conversations.c.last_position + _ONE),
            else_=conversations.c.context_from,
        ),
    )
    .returning(*_CONVERSATION)
)
_grow = update(conversations).values(
    last_position=conversations.c.last_position + _ONE,
    updated_at=_number("at"),
    title=case((conversations.c.title == _is(""), _text("new_title")), else_=conversations.c.title),
)
CONVERSATION_GROW = _grow.where(conversations.c.id == _text("id")).returning(
    *_CONVERSATION, conversations.c.last_position
)
CONVERSATION_GROW_PLACE = _grow.where(
    conversations.c.adapter == _text("of_adapter"), conversations.c.place == _text("of_place")
).returning(*_CONVERSATION, conversations.c.last_position)
CONVERSATION_TOUCH = (
    update(conversations)
    .where(conversations.c.id == _text("id"))
    .values(updated_at=_number("at"))
    .returning(*_CONVERSATION)
)
CONVERSATION_DELETE = delete(conversations).where(conversations.c.id == _text("id")).returning(conversations.c.id)

# --- messages -----------------------------------------------------------------------------------------------------

MESSAGE_ADD = InsertRow(messages)
MESSAGE_BY_ID = select(*_MESSAGE).where(messages.c.id == _text("id"))
MESSAGE_PAGE = (
    select(*_MESSAGE, inbox.c.record)
    .select_from(messages.outerjoin(inbox, and_(inbox.c.id == messages.c.turn_id, messages.c.role == _is("assistant"))))
    .where(
        messages.c.conversation_id == _text("conversation_id"),
        messages.c.position > _number("after"),
        messages.c.position < _number("before"),
    )
    .order_by(messages.c.position.desc())
    .limit(_number("limit"))
    .offset(_FIRST)
)
MESSAGE_CONTEXT = (
    select(*_MESSAGE)
    .join(conversations, conversations.c.id == messages.c.conversation_id)
    .where(
        messages.c.conversation_id == _text("conversation_id"),
        messages.c.ticket > _number("after"),
        messages.c.ticket < _number("ticket"),
        messages.c.ticket >= conversations.c.context_from,
        messages.c.in_context,
        messages.c.role != _is("system"),
    )
    .order_by(messages.c.ticket.desc(), messages.c.position.desc())
    .limit(_number("limit"))
    .offset(_FIRST)
)
REPLY_OF_TURN = (
    select(*_MESSAGE, outbox.c.id)
    .select_from(messages.outerjoin(outbox, outbox.c.turn_id == messages.c.turn_id))
    .where(
        messages.c.conversation_id == _text("conversation_id"),
        messages.c.ticket == _number("ticket"),
        messages.c.turn_id == _text("turn_id"),
        messages.c.role != _is("user"),
    )
)
MESSAGE_SETTLE = (
    update(messages)
    .where(messages.c.id == _text("of_message"))
    .values(
        status=_text("outcome"), in_context=and_(messages.c.in_context, bindparam("visible", type_=Boolean) == true())
    )
)

# --- inbox --------------------------------------------------------------------------------------------------------

TURN_ADD = InsertRow(inbox)


def _node_of(conversation: ColumnElement[str]) -> ColumnElement[str]:
    """Which process sees the turns of a conversation through as long as one is open or has a reply to send."""
    answering = select(inbox.c.node).where(inbox.c.conversation_id == conversation, _OPEN).limit(_ONE).offset(_FIRST)
    sending = select(inbox.c.node).select_from(_replies).where(outbox.c.conversation_id == conversation, _SENDABLE)
    return func.coalesce(answering.scalar_subquery(), sending.limit(_ONE).offset(_FIRST).scalar_subquery())


_waiting = select(func.count()).where(inbox.c.conversation_id == _text("conversation_id"), _OPEN).scalar_subquery()
TURN_ADD_AMONG = (
    insert(inbox)
    .from_select(
        [column.name for column in inbox.columns],
        select(
            *[bindparam(column.name, type_=column.type) for column in inbox.columns if column is not inbox.c.node],
            func.coalesce(_node_of(_text("conversation_id")), _text("node")),
        ).where(_waiting < _number("most")),
    )
    .returning(inbox.c.node)
)
TURN_BY_KEY = (
    select(*_TURN, inbox.c.node)
    .select_from(_turns)
    .where(inbox.c.adapter == _text("adapter"), inbox.c.place == _text("place"), inbox.c.key == _text("key"))
)
SENDER_AND_TURN = (
    select(*_PERSON, *_TURN, inbox.c.node)
    .select_from(
        accounts.join(people, people.c.id == accounts.c.person_id)
        .outerjoin(
            inbox,
            and_(inbox.c.adapter == _text("adapter"), inbox.c.place == _text("place"), inbox.c.key == _text("key")),
        )
        .outerjoin(messages, messages.c.id == inbox.c.message_id)
    )
    .where(accounts.c.adapter == _text("adapter"), accounts.c.account == _text("account"))
)
TURN_BEGIN = (
    update(inbox)
    .where(inbox.c.id == _text("id"), _OPEN, _MINE)
    .values(state=_is("running"), record=_text("new_record"))
    .returning(inbox.c.id)
)
TURN_END = (
    update(inbox)
    .where(inbox.c.id == _text("id"), _OPEN, _MINE)
    .values(state=_ENDED, model=_text("by_model"), record=_text("new_record"), ended_at=_number("at"))
    .returning(inbox.c.id)
)
_begun = select(*_TURN, inbox.c.record).select_from(_turns).where(_OPEN, _MINE)
TURN_OPEN = _begun.order_by(inbox.c.conversation_id, inbox.c.ticket)
TURN_OPEN_BY_ID = _begun.where(inbox.c.id == _text("id"))
TURN_OPEN_OF = (
    select(*_TURN, inbox.c.record, inbox.c.node)
    .select_from(_turns)
    .where(inbox.c.conversation_id == _text("conversation_id"), _OPEN)
    .order_by(inbox.c.ticket)
)
TURN_MINE = select(inbox.c.id).where(inbox.c.id == _text("id"), _MINE)
TURN_LATEST = (
    select(inbox.c.record)
    .where(inbox.c.conversation_id == _text("conversation_id"), inbox.c.state == _ENDED, inbox.c.model.is_not(None))
    .order_by(inbox.c.ticket.desc())
    .limit(_ONE)
    .offset(_FIRST)
)
# The turn is locked for the moment: one that ends in it takes the chunk along, and one that has ended takes none.
CHUNK_ADD = insert(chunks).from_select(
    ["turn_id", "seq", "number", "kind", "text"],
    select(inbox.c.id, _number("seq"), _number("number"), _text("kind"), _text("text"))
    .where(inbox.c.id == _text("turn_id"), _OPEN)
    .with_for_update(read=True, of=inbox),
)
CHUNK_LAST = select(func.max(chunks.c.seq)).where(chunks.c.turn_id == _text("turn_id"))
CHUNK_LIST = (
    select(chunks.c.kind, chunks.c.text, chunks.c.seq)
    .where(chunks.c.turn_id == _text("turn_id"))
    .order_by(chunks.c.seq, chunks.c.number)
)
CHUNK_DROP = delete(chunks).where(chunks.c.turn_id == _text("turn_id"))

# --- outbox -------------------------------------------------------------------------------------------------------

DELIVERY_ADD = InsertRow(outbox)
_unsent_replies = (
    select(*_MESSAGE, *_columns(outbox, "id adapter place thread reply_to state attempts due_at"))
    .select_from(_replies.join(messages, messages.c.id == outbox.c.message_id))
    .where(_SENDABLE, _MINE)
)
DELIVERY_OPEN = _unsent_replies.order_by(outbox.c.id).limit(_number("limit")).offset(_FIRST)
DELIVERY_OPEN_OF_TURN = _unsent_replies.where(outbox.c.turn_id == _text("turn_id"))
_unsent = update(outbox).where(outbox.c.id == _text("id"), _SENDABLE)
DELIVERY_SENDING = _unsent.values(state=_is("sending"), attempts=outbox.c.attempts + _ONE)
DELIVERY_UNCERTAIN = _unsent.values(state=_is("maybe_sent"))
DELIVERY_FAILED = _unsent.values(
    state=_text("new_state"),
    due_at=func.coalesce(_number("retry_at"), outbox.c.due_at),
    error=_text("reason"),
)
DELIVERY_DONE = (
    update(outbox)
    .where(outbox.c.id == _text("id"), outbox.c.state != _is("delivered"))
    .values(state=_is("delivered"), platform_id=_text("platform"), error=null())
)

# --- the processes of a house -------------------------------------------------------------------------------------


def _held(node: ColumnElement[str]) -> CompoundSelect[tuple[str]]:
    """The turns that a process sees through: those that are open, and those with a reply to send."""
    return union_all(
        select(inbox.c.id).where(_OPEN, inbox.c.node == node),
        select(inbox.c.id).select_from(_replies).where(_SENDABLE, inbox.c.node == node),
    )


NODE_TURNS = _held(_text("node"))
# Whoever accepts a message holds its conversation, so that a turn never goes where the others have just left.
NODE_LOCK = (
    select(conversations.c.id)
    .where(
        conversations.c.id.in_(
            select(inbox.c.conversation_id).where(inbox.c.id.in_(_held(_text("gone")).subquery().select()))
        )
    )
    .order_by(conversations.c.id)
    .with_for_update()
)
NODE_TURNS_MOVE = (
    update(inbox)
    .where(inbox.c.node == _text("gone"), inbox.c.id.in_(_held(_text("gone")).subquery().select()))
    .values(node=_text("to"))
    .returning(inbox.c.id)
)

# --- people and notes ---------------------------------------------------------------------------------------------

PERSON_ADD = InsertRow(people)
ACCOUNT_ADD = InsertRow(accounts)
PERSON_BY_ID = select(*_PERSON).where(people.c.id == _text("id"))
PERSON_BY_ACCOUNT = (
    select(*_PERSON)
    .join(accounts, accounts.c.person_id == people.c.id)
    .where(accounts.c.adapter == _text("adapter"), accounts.c.account == _text("account"))
)
PERSON_PREFER = update(people).where(people.c.id == _text("id")).values(preferred_model=_text("new_model"))

NOTE_ADD = InsertRow(notes)
NOTE_BY_DIGEST = select(*_NOTE).where(notes.c.person_id == _text("person_id"), notes.c.digest == _text("digest"))
NOTE_LIST = (
    select(*_NOTE)
    .where(notes.c.person_id == _text("person_id"))
    .order_by(notes.c.number.desc())
    .limit(_number("limit"))
    .offset(_FIRST)
)
NOTE_DELETE = (
    delete(notes).where(notes.c.person_id == _text("person_id"), notes.c.id == _text("id")).returning(notes.c.id)
)

STATE_GET = select(states.c.data).where(
    states.c.conversation_id == _text("conversation_id"), states.c.name == _text("state")
)
STATE_PUT = text(
    "INSERT INTO states (conversation_id, name, data) VALUES (:conversation_id, :state, :data) "
    "ON CONFLICT (conversation_id, name) DO UPDATE SET data = excluded.data"
)

# --- the database itself ------------------------------------------------------------------------------------------

CHECK_WRITE = text("UPDATE alembic_version SET version_num = version_num")
