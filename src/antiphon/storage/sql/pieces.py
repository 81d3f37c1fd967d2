"""What statements are put together of: parameters, fixed words, and what is asked of turns in more than one."""

from typing import Any

from sqlalchemy import (
    BigInteger,
    BindParameter,
    ColumnElement,
    Insert,
    Table,
    Text,
    and_,
    bindparam,
    func,
    insert,
    literal_column,
    or_,
    select,
)

from antiphon.storage.schema import inbox, messages, outbox


class InsertRow:
    """An INSERT of one row with a parameter for each of its columns, but for a key that the database counts."""

    def __init__(self, table: Table) -> None:
        self.columns = [column.name for column in table.columns if column is not table.autoincrement_column]
        self.insert: Insert = insert(table)


def word(fixed: str) -> ColumnElement[str]:
    """A literal, so that partial indexes apply."""
    return literal_column(f"'{fixed}'", Text)


def text_of(name: str) -> BindParameter[str]:
    return bindparam(name, type_=Text)


def number(name: str) -> BindParameter[int]:
    return bindparam(name, type_=BigInteger)


def columns(table: Table, names: str) -> list[ColumnElement[Any]]:
    return [table.c[name] for name in names.split()]


ONE = literal_column("1", BigInteger)
FIRST = literal_column("0", BigInteger)  # an explicit OFFSET, or SQLAlchemy adds a parameter for it on SQLite
ENDED = word("ended")
WAITING = word("waiting")
OPEN = and_(inbox.c.state != ENDED, inbox.c.state != WAITING)
"""A turn that waits for people is nobody's matter."""

SENDABLE = outbox.c.state.in_([word("pending"), word("sending")])
MINE = or_(inbox.c.node == text_of("node"), text_of("node") == word(""))
"""A process that is alone is nobody's node, and all turns are its own."""

TURN = [
    *columns(inbox, "id conversation_id message_id ticket person_id"),
    messages.c.text,
    *columns(inbox, "adapter place thread reply_to created_at"),
    messages.c.attachments,
    inbox.c.state,
]
turns = inbox.join(messages, messages.c.id == inbox.c.message_id)
replies = outbox.join(inbox, inbox.c.id == outbox.c.turn_id)


def node_of(conversation: ColumnElement[str]) -> ColumnElement[str]:
    """Which process sees the turns of a conversation through as long as one is open or has a reply to send."""
    answering = select(inbox.c.node).where(inbox.c.conversation_id == conversation, OPEN).limit(ONE).offset(FIRST)
    sending = select(inbox.c.node).select_from(replies).where(outbox.c.conversation_id == conversation, SENDABLE)
    return func.coalesce(answering.scalar_subquery(), sending.limit(ONE).offset(FIRST).scalar_subquery())
