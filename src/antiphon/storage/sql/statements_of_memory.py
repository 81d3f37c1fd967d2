"""The statements about what is remembered of people: facts, and the vectors of their texts."""

from sqlalchemy import LargeBinary, and_, bindparam, delete, func, insert, select, update

from antiphon.storage.schema import facts, vectors
from antiphon.storage.sql.pieces import FIRST, InsertRow, columns, number, text_of

_FACT = columns(facts, "id person_id text created_at source_message_id assistant importance extracted")

FACT_ADD = InsertRow(facts)
FACT_BY_DIGEST = select(*_FACT).where(facts.c.person_id == text_of("person_id"), facts.c.digest == text_of("digest"))
FACT_BY_ID = select(*_FACT).where(facts.c.person_id == text_of("person_id"), facts.c.id == text_of("id"))
FACT_LIST = (
    select(*_FACT)
    .where(facts.c.person_id == text_of("person_id"))
    .order_by(facts.c.number.desc())
    .limit(number("limit"))
    .offset(FIRST)
)
FACT_COUNT = select(func.count()).select_from(facts).where(facts.c.person_id == text_of("person_id"))
_least = (
    select(facts.c.number)
    .where(facts.c.person_id == text_of("person_id"), facts.c.id != text_of("kept"))
    .order_by(facts.c.importance, facts.c.number)
    .limit(number("too_many"))
    .offset(FIRST)
)
FACT_DROP = delete(facts).where(facts.c.number.in_(_least)).returning(*_FACT)
FACT_CHANGE = (
    update(facts)
    .where(facts.c.person_id == text_of("person_id"), facts.c.id == text_of("id"))
    .values(text=text_of("new_text"), digest=text_of("new_digest"), importance=number("new_importance"))
    .returning(*_FACT)
)
FACT_DELETE = (
    delete(facts).where(facts.c.person_id == text_of("person_id"), facts.c.id == text_of("id")).returning(*_FACT)
)
FACT_CLEAR = delete(facts).where(facts.c.person_id == text_of("person_id")).returning(facts.c.id)

# --- vectors ------------------------------------------------------------------------------------------------------

_of_kind = and_(vectors.c.model == text_of("model"), vectors.c.dimension == number("dimension"))
VECTOR_MISSING = (
    select(*_FACT)
    .select_from(facts.outerjoin(vectors, and_(vectors.c.number == facts.c.number, _of_kind)))
    .where(vectors.c.number.is_(None))
    .order_by(facts.c.number.desc())
    .limit(number("limit"))
    .offset(FIRST)
)
_of_fact = select(facts.c.number).where(facts.c.id == text_of("id"))
VECTOR_DROP = delete(vectors).where(vectors.c.number.in_(_of_fact))
VECTOR_ADD = insert(vectors).from_select(
    ["number", "model", "dimension", "vector", "made_at"],
    select(
        facts.c.number, text_of("model"), number("dimension"), bindparam("vector", type_=LargeBinary), number("made_at")
    ).where(facts.c.id == text_of("id"), facts.c.digest == text_of("digest")),
)
VECTOR_LIST = (
    select(*_FACT, vectors.c.vector)
    .join(vectors, vectors.c.number == facts.c.number)
    .where(facts.c.person_id == text_of("person_id"), _of_kind)
    .order_by(facts.c.number.desc())
    .limit(number("limit"))
    .offset(FIRST)
)
VECTOR_MARK = (
    select(func.count(), func.coalesce(func.max(vectors.c.made_at), FIRST))
    .select_from(facts.join(vectors, vectors.c.number == facts.c.number))
    .where(facts.c.person_id == text_of("person_id"), _of_kind)
)
