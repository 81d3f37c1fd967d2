"""The statements about kept files and the conversations that name them."""

from sqlalchemy import delete, exists, func, or_, select, text, update

from antiphon.storage.schema import conversations, file_uses, files, people
from antiphon.storage.sql.pieces import FIRST, InsertRow, columns, number, text_of

_FILE = columns(files, "id person_id name media_type size digest created_at")
_named = exists(select(file_uses.c.file_id).where(file_uses.c.file_id == files.c.id))
_in_a_conversation_of = exists(
    select(file_uses.c.file_id)
    .join(conversations, conversations.c.id == file_uses.c.conversation_id)
    .where(file_uses.c.file_id == files.c.id, conversations.c.person_id == text_of("person_id"))
)

FILE_ADD = InsertRow(files)
FILE_BY_ID = select(*_FILE).where(files.c.id == text_of("id"))
FILE_FOR = FILE_BY_ID.where(or_(files.c.person_id == text_of("person_id"), _in_a_conversation_of))
FILE_BY_DIGEST = select(*_FILE).where(files.c.person_id == text_of("person_id"), files.c.digest == text_of("digest"))
FILE_DATA = select(files.c.data).where(files.c.id == text_of("id"))
FILE_BYTES = select(func.coalesce(func.sum(files.c.size), FIRST)).where(files.c.person_id == text_of("person_id"))
FILE_RENEW = update(files).where(files.c.id == text_of("id")).values(created_at=number("at"))
FILE_DROP = delete(files).where(files.c.id == text_of("id"))
# Whoever adds a file holds the person, so that two at once do not share what is left of the room.
FILE_OWNER_LOCK = select(people.c.id).where(people.c.id == text_of("person_id")).with_for_update(key_share=True)
# One that is being named at this moment is held by its message, and stays.
FILE_UNNAMED = (
    select(files.c.id)
    .where(files.c.person_id == text_of("person_id"), files.c.created_at < number("before"), ~_named)
    .order_by(files.c.id)
    .with_for_update(skip_locked=True, of=files)
)
FILE_UNNAMED_STILL = select(files.c.id).where(files.c.id == text_of("id"), ~_named)

FILE_USE = text(
    "INSERT INTO file_uses (file_id, conversation_id) VALUES (:file_id, :conversation_id) "
    "ON CONFLICT (file_id, conversation_id) DO NOTHING"
)
_of_conversation = select(file_uses.c.file_id).where(file_uses.c.conversation_id == text_of("conversation_id"))
FILES_OF = (
    select(*_FILE)
    .join(file_uses, file_uses.c.file_id == files.c.id)
    .where(file_uses.c.conversation_id == text_of("conversation_id"))
    .order_by(files.c.created_at.desc(), files.c.id.desc())
    .limit(number("limit"))
    .offset(FIRST)
)
FILE_LOCK_OF = select(files.c.id).where(files.c.id.in_(_of_conversation)).order_by(files.c.id).with_for_update(of=files)
_elsewhere = file_uses.alias("elsewhere")
FILE_ONLY_OF = _of_conversation.where(
    ~exists(
        select(_elsewhere.c.file_id).where(
            _elsewhere.c.file_id == file_uses.c.file_id, _elsewhere.c.conversation_id != text_of("conversation_id")
        )
    )
)
FILE_USE_DROP = delete(file_uses).where(file_uses.c.conversation_id == text_of("conversation_id"))
