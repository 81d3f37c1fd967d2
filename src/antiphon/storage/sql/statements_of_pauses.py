"""The statements for turns that wait for people; `statements.py` has the others."""

from sqlalchemy import BigInteger, delete, func, literal_column, or_, select, update

from antiphon.storage.schema import approvals, conversations, inbox, pauses
from antiphon.storage.sql.pieces import (
    FIRST,
    MINE,
    OPEN,
    TURN,
    WAITING,
    InsertRow,
    node_of,
    number,
    text_of,
    turns,
    word,
)

PAUSE_ADD = InsertRow(pauses)
APPROVAL_ADD = InsertRow(approvals)
PAUSE_KNOWN = select(pauses.c.turn_id).where(pauses.c.turn_id == text_of("turn_id"))
PAUSE_LOCK = select(pauses.c.data).where(pauses.c.turn_id == text_of("turn_id")).with_for_update()
PAUSE_CHANGE = update(pauses).where(pauses.c.turn_id == text_of("of_turn")).values(data=text_of("new_data"))
PAUSE_DROP = delete(pauses).where(pauses.c.turn_id == text_of("turn_id")).returning(pauses.c.data)
_paused = (
    select(pauses.c.data, pauses.c.turn_id)
    .select_from(pauses.join(inbox, inbox.c.id == pauses.c.turn_id))
    .where(inbox.c.state == WAITING)
)
_code = func.substr(approvals.c.id, literal_column("23", BigInteger))
APPROVAL_PAGE = (
    select(pauses.c.data, pauses.c.turn_id, approvals.c.id)
    .select_from(approvals.join(pauses, pauses.c.turn_id == approvals.c.turn_id))
    .where(or_(approvals.c.person_id == text_of("person_id"), text_of("person_id") == word("")))
    .where(or_(*(named == text_of("which") for named in (approvals.c.id, _code, word("")))))
    .where(approvals.c.id > text_of("after"))
    .order_by(approvals.c.id)
    .limit(number("limit"))
    .offset(FIRST)
)
PAUSE_OVERDUE = _paused.where(pauses.c.expires_at <= number("at"))
PAUSE_OF = (
    select(*TURN, inbox.c.record, pauses.c.data)
    .select_from(turns.join(pauses, pauses.c.turn_id == inbox.c.id))
    .where(pauses.c.conversation_id == text_of("conversation_id"), inbox.c.state == WAITING)
    .order_by(inbox.c.ticket)
)
TURN_PAUSE = (
    update(inbox)
    .where(inbox.c.id == text_of("id"), OPEN, MINE)
    .values(state=WAITING, record=text_of("new_record"))
    .returning(inbox.c.id)
)
# As one who accepts a message holds its conversation, so does one who makes a turn somebody's matter again.
CONVERSATION_LOCK = select(conversations.c.id).where(conversations.c.id == text_of("id")).with_for_update()
TURN_DECIDE = (
    update(inbox)
    .where(inbox.c.id == text_of("of_turn"), inbox.c.state == WAITING)
    .values(state=word("decided"), node=func.coalesce(node_of(text_of("conversation_id")), text_of("node")))
    .returning(inbox.c.node)
)
TURN_GO_ON = (
    update(inbox)
    .where(inbox.c.id == text_of("id"), inbox.c.state == word("decided"), MINE)
    .values(state=word("running"))
    .returning(inbox.c.record)
)
TURN_GIVE_UP = (
    update(inbox)
    .where(inbox.c.id == text_of("id"), inbox.c.state == WAITING)
    .values(state=word("running"), node=text_of("node"))
    .returning(inbox.c.record)
)
