"""The statements about turns that have ended."""

from sqlalchemy import select

from antiphon.storage.schema import inbox
from antiphon.storage.sql.pieces import ENDED, FIRST, ONE, TURN, number, text_of, turns

_past = select(*TURN, inbox.c.record).select_from(turns).where(inbox.c.state == ENDED, inbox.c.model.is_not(None))
_of_conversation = _past.where(inbox.c.conversation_id == text_of("conversation_id"))

TURN_PAST = _past.where(inbox.c.id == text_of("id"))
TURN_PAST_UPTO = (
    _of_conversation.where(inbox.c.ticket <= number("upto")).order_by(inbox.c.ticket.desc()).limit(ONE).offset(FIRST)
)
TURN_PAST_LAST = _past.order_by(inbox.c.id.desc()).limit(ONE).offset(FIRST)
_page = _past.where(inbox.c.id > text_of("after"), inbox.c.created_at >= number("since"))
TURN_PAST_PAGE = _page.order_by(inbox.c.id).limit(number("limit")).offset(FIRST)
TURN_PAST_PAGE_OF = (
    _page.where(inbox.c.conversation_id == text_of("conversation_id"))
    .order_by(inbox.c.id)
    .limit(number("limit"))
    .offset(FIRST)
)
