"""Every statement of the store, as SQLAlchemy Core. `generate.py` writes them out as text for each database.

The name of a statement is the name of its constant in small letters; `Unit`s yield it with its parameters.
Fixed values are literals and not parameters, so that partial indexes apply.
"""

from sqlalchemy import (
    Boolean,
    ColumnElement,
    CompoundSelect,
    and_,
    bindparam,
    case,
    delete,
    func,
    insert,
    null,
    select,
    text,
    true,
    union_all,
    update,
)

from antiphon.storage.schema import (
    accounts,
    chunks,
    conversations,
    feedback,
    inbox,
    messages,
    outbox,
    people,
    states,
)
from antiphon.storage.sql.pieces import (
    ENDED,
    FIRST,
    MINE,
    ONE,
    OPEN,
    SENDABLE,
    TURN,
    InsertRow,
    columns,
    node_of,
    number,
    replies,
    text_of,
    turns,
    word,
)

_CONVERSATION = columns(
    conversations, "id title assistant created_at updated_at person_id adapter place model context_from"
)
_MESSAGE = columns(
    messages,
    "id conversation_id position ticket role text turn_id status created_at parts person in_context attachments",
)
_PERSON = columns(people, "id name created_at operator preferred_model language")

# --- conversations ------------------------------------------------------------------------------------------------

CONVERSATION_ADD = InsertRow(conversations)
CONVERSATION_BY_ID = select(*_CONVERSATION).where(conversations.c.id == text_of("id"))
CONVERSATION_BY_PLACE = select(*_CONVERSATION).where(
    conversations.c.adapter == text_of("adapter"), conversations.c.place == text_of("place")
)
CONVERSATION_LIST = (
    select(*_CONVERSATION)
    .where(conversations.c.person_id == text_of("person_id"), conversations.c.updated_at < number("before"))
    .order_by(conversations.c.updated_at.desc(), conversations.c.id.desc())
    .limit(number("limit"))
    .offset(FIRST)
)
CONVERSATION_CHANGE = (
    update(conversations)
    .where(conversations.c.id == text_of("id"))
    .values(
        title=func.coalesce(text_of("new_title"), conversations.c.title),
        assistant=func.coalesce(text_of("new_assistant"), conversations.c.assistant),
        model=case(
            (text_of("new_model").is_(None), conversations.c.model),
            (text_of("new_model") == word(""), null()),
            else_=text_of("new_model"),
        ),
        context_from=case(
            (bindparam("reset", type_=Boolean) == true(), conversations.c.last_position + ONE),
            else_=conversations.c.context_from,
        ),
    )
    .returning(*_CONVERSATION)
)
CONVERSATION_RETITLE = (
    update(conversations)
    .where(conversations.c.id == text_of("id"))
    .values(title=text_of("new_title"))
    .returning(*_CONVERSATION)
)
_grow = update(conversations).values(
    last_position=conversations.c.last_position + ONE,
    updated_at=number("at"),
    title=case((conversations.c.title == word(""), text_of("new_title")), else_=conversations.c.title),
)
CONVERSATION_GROW = _grow.where(conversations.c.id == text_of("id")).returning(
    *_CONVERSATION, conversations.c.last_position
)
CONVERSATION_GROW_PLACE = _grow.where(
    conversations.c.adapter == text_of("of_adapter"), conversations.c.place == text_of("of_place")
).returning(*_CONVERSATION, conversations.c.last_position)
CONVERSATION_TOUCH = (
    update(conversations)
    .where(conversations.c.id == text_of("id"))
    .values(updated_at=number("at"))
    .returning(*_CONVERSATION)
)
CONVERSATION_DELETE = delete(conversations).where(conversations.c.id == text_of("id")).returning(conversations.c.id)

# --- messages -----------------------------------------------------------------------------------------------------

MESSAGE_ADD = InsertRow(messages)
MESSAGE_BY_ID = select(*_MESSAGE).where(messages.c.id == text_of("id"))
MESSAGE_PAGE = (
    select(*_MESSAGE, inbox.c.record, *columns(feedback, "verdict comment given_at"))
    .select_from(
        messages.outerjoin(
            inbox, and_(inbox.c.id == messages.c.turn_id, messages.c.role == word("assistant"))
        ).outerjoin(feedback, feedback.c.turn_id == inbox.c.id)
    )
    .where(
        messages.c.conversation_id == text_of("conversation_id"),
        messages.c.position > number("after"),
        messages.c.position < number("before"),
    )
    .order_by(messages.c.position.desc())
    .limit(number("limit"))
    .offset(FIRST)
)
# Of two lower bounds SQLite takes the last one for its index, and reads all that the other leaves out: here it is the
# higher one of both. PostgreSQL reads from the first one on, which it knows before it has found the conversation.
_first = case(
    (conversations.c.context_from > number("after"), conversations.c.context_from), else_=number("after") + ONE
)
MESSAGE_CONTEXT = (
    select(*_MESSAGE)
    .join(conversations, conversations.c.id == messages.c.conversation_id)
    .where(
        messages.c.conversation_id == text_of("conversation_id"),
        messages.c.ticket > number("after"),
        messages.c.ticket < number("ticket"),
        messages.c.ticket >= _first,
        messages.c.in_context,
        messages.c.role != word("system"),
    )
    .order_by(messages.c.ticket.desc(), messages.c.position.desc())
    .limit(number("limit"))
    .offset(FIRST)
)
MESSAGE_REWORD = (
    update(messages)
    .where(messages.c.id == text_of("of_message"))
    .values(text=text_of("new_text"), parts=text_of("new_parts"))
    .returning(*_MESSAGE)
)
REPLY_OF_TURN = (
    select(*_MESSAGE, outbox.c.id)
    .select_from(messages.outerjoin(outbox, outbox.c.turn_id == messages.c.turn_id))
    .where(
        messages.c.conversation_id == text_of("conversation_id"),
        messages.c.ticket == number("ticket"),
        messages.c.turn_id == text_of("turn_id"),
        messages.c.role != word("user"),
    )
)
MESSAGE_SETTLE = (
    update(messages)
    .where(messages.c.id == text_of("of_message"))
    .values(
        status=text_of("outcome"), in_context=and_(messages.c.in_context, bindparam("visible", type_=Boolean) == true())
    )
)

# --- inbox --------------------------------------------------------------------------------------------------------

TURN_ADD = InsertRow(inbox)


_waiting = select(func.count()).where(inbox.c.conversation_id == text_of("conversation_id"), OPEN).scalar_subquery()
TURN_ADD_AMONG = (
    insert(inbox)
    .from_select(
        [column.name for column in inbox.columns],
        select(
            *[bindparam(column.name, type_=column.type) for column in inbox.columns if column is not inbox.c.node],
            func.coalesce(node_of(text_of("conversation_id")), text_of("node")),
        ).where(_waiting < number("most")),
    )
    .returning(inbox.c.node)
)
TURN_BY_KEY = (
    select(*TURN, inbox.c.node)
    .select_from(turns)
    .where(inbox.c.adapter == text_of("adapter"), inbox.c.place == text_of("place"), inbox.c.key == text_of("key"))
)
SENDER_AND_TURN = (
    select(*_PERSON, *TURN, inbox.c.node)
    .select_from(
        accounts.join(people, people.c.id == accounts.c.person_id)
        .outerjoin(
            inbox,
            and_(
                inbox.c.adapter == text_of("adapter"), inbox.c.place == text_of("place"), inbox.c.key == text_of("key")
            ),
        )
        .outerjoin(messages, messages.c.id == inbox.c.message_id)
    )
    .where(accounts.c.adapter == text_of("adapter"), accounts.c.account == text_of("account"))
)
TURN_BEGIN = (
    update(inbox)
    .where(inbox.c.id == text_of("id"), OPEN, MINE)
    .values(state=word("running"), record=text_of("new_record"))
    .returning(inbox.c.id)
)
TURN_END = (
    update(inbox)
    .where(inbox.c.id == text_of("id"), OPEN, MINE)
    .values(state=ENDED, model=text_of("by_model"), record=text_of("new_record"), ended_at=number("at"))
    .returning(inbox.c.id)
)
_begun = select(*TURN, inbox.c.record).select_from(turns).where(OPEN, MINE)
TURN_OPEN = _begun.order_by(inbox.c.conversation_id, inbox.c.ticket)
TURN_OPEN_BY_ID = _begun.where(inbox.c.id == text_of("id"))
TURN_OPEN_OF = (
    select(*TURN, inbox.c.record, inbox.c.node)
    .select_from(turns)
    .where(inbox.c.conversation_id == text_of("conversation_id"), OPEN)
    .order_by(inbox.c.ticket)
)
TURN_MINE = select(inbox.c.id).where(inbox.c.id == text_of("id"), MINE)
TURN_LATEST = (
    select(inbox.c.record)
    .where(inbox.c.conversation_id == text_of("conversation_id"), inbox.c.state == ENDED, inbox.c.model.is_not(None))
    .order_by(inbox.c.ticket.desc())
    .limit(ONE)
    .offset(FIRST)
)
# The turn is locked for the moment: one that ends in it takes the chunk along, and one that has ended takes none.
CHUNK_ADD = insert(chunks).from_select(
    ["turn_id", "seq", "number", "kind", "text"],
    select(inbox.c.id, number("seq"), number("number"), text_of("kind"), text_of("text"))
    .where(inbox.c.id == text_of("turn_id"), OPEN)
    .with_for_update(read=True, of=inbox),
)
CHUNK_LAST = select(func.max(chunks.c.seq)).where(chunks.c.turn_id == text_of("turn_id"))
CHUNK_LIST = (
    select(chunks.c.kind, chunks.c.text, chunks.c.seq)
    .where(chunks.c.turn_id == text_of("turn_id"))
    .order_by(chunks.c.seq, chunks.c.number)
)
CHUNK_DROP = delete(chunks).where(chunks.c.turn_id == text_of("turn_id"))

# --- outbox -------------------------------------------------------------------------------------------------------

DELIVERY_ADD = InsertRow(outbox)
_unsent_replies = (
    select(*_MESSAGE, *columns(outbox, "id adapter place thread reply_to state attempts due_at"))
    .select_from(replies.join(messages, messages.c.id == outbox.c.message_id))
    .where(SENDABLE, MINE)
)
DELIVERY_OPEN = _unsent_replies.order_by(outbox.c.id).limit(number("limit")).offset(FIRST)
DELIVERY_OPEN_OF_TURN = _unsent_replies.where(outbox.c.turn_id == text_of("turn_id"))
_unsent = update(outbox).where(outbox.c.id == text_of("id"), SENDABLE)
DELIVERY_SENDING = _unsent.values(state=word("sending"), attempts=outbox.c.attempts + ONE)
DELIVERY_UNCERTAIN = _unsent.values(state=word("maybe_sent"))
DELIVERY_FAILED = _unsent.values(
    state=text_of("new_state"),
    due_at=func.coalesce(number("retry_at"), outbox.c.due_at),
    error=text_of("reason"),
)
DELIVERY_DONE = (
    update(outbox)
    .where(outbox.c.id == text_of("id"), outbox.c.state != word("delivered"))
    .values(state=word("delivered"), platform_id=text_of("platform"), error=null())
)

# --- the processes of a house -------------------------------------------------------------------------------------


def _held(node: ColumnElement[str]) -> CompoundSelect[tuple[str]]:
    """The turns that a process sees through: those that are open, and those with a reply to send."""
    return union_all(
        select(inbox.c.id).where(OPEN, inbox.c.node == node),
        select(inbox.c.id).select_from(replies).where(SENDABLE, inbox.c.node == node),
    )


NODE_TURNS = _held(text_of("node"))
# Whoever accepts a message holds its conversation, so that a turn never goes where the others have just left.
NODE_LOCK = (
    select(conversations.c.id)
    .where(
        conversations.c.id.in_(
            select(inbox.c.conversation_id).where(inbox.c.id.in_(_held(text_of("gone")).subquery().select()))
        )
    )
    .order_by(conversations.c.id)
    .with_for_update()
)
NODE_TURNS_MOVE = (
    update(inbox)
    .where(inbox.c.node == text_of("gone"), inbox.c.id.in_(_held(text_of("gone")).subquery().select()))
    .values(node=text_of("to"))
    .returning(inbox.c.id)
)

# --- people ------------------------------------------------------------------------------------------------------

PERSON_ADD = InsertRow(people)
ACCOUNT_ADD = InsertRow(accounts)
PERSON_BY_ID = select(*_PERSON).where(people.c.id == text_of("id"))
PERSON_BY_ACCOUNT = (
    select(*_PERSON)
    .join(accounts, accounts.c.person_id == people.c.id)
    .where(accounts.c.adapter == text_of("adapter"), accounts.c.account == text_of("account"))
)
PEOPLE_PAGE = (
    select(*_PERSON).where(people.c.id > text_of("after")).order_by(people.c.id).limit(number("limit")).offset(FIRST)
)
PERSON_RENAME = update(people).where(people.c.id == text_of("id")).values(name=text_of("new_name"))
PERSON_SPEAK = update(people).where(people.c.id == text_of("id")).values(language=text_of("new_language"))
PERSON_PREFER = update(people).where(people.c.id == text_of("id")).values(preferred_model=text_of("new_model"))

STATE_GET = select(states.c.data).where(
    states.c.conversation_id == text_of("conversation_id"), states.c.name == text_of("state")
)
STATE_PUT = text(
    "INSERT INTO states (conversation_id, name, data) VALUES (:conversation_id, :state, :data) "
    "ON CONFLICT (conversation_id, name) DO UPDATE SET data = excluded.data"
)

# --- the database itself ------------------------------------------------------------------------------------------

CHECK_WRITE = text("UPDATE alembic_version SET version_num = version_num")
