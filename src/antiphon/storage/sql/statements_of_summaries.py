"""The statements of summaries."""

from sqlalchemy import select, text

from antiphon.storage.schema import summaries
from antiphon.storage.sql.pieces import number, text_of

SUMMARY_GET = select(summaries.c.upto, summaries.c.text, summaries.c.model, summaries.c.created_at).where(
    summaries.c.conversation_id == text_of("conversation_id"), summaries.c.context_from == number("context_from")
)

SUMMARY_PUT = text(
    "INSERT INTO summaries (conversation_id, context_from, upto, text, model, created_at) "
    "SELECT id, context_from, CAST(:upto AS BIGINT), CAST(:summary AS TEXT), CAST(:model AS TEXT), "
    "CAST(:created_at AS BIGINT) FROM conversations WHERE id = :conversation_id AND context_from = :context_from "
    "ON CONFLICT (conversation_id) DO UPDATE SET context_from = excluded.context_from, upto = excluded.upto, "
    "text = excluded.text, model = excluded.model, created_at = excluded.created_at "
    "WHERE excluded.context_from > summaries.context_from "
    "OR (summaries.upto = CAST(:behind AS BIGINT) AND excluded.upto > summaries.upto) RETURNING upto"
)
