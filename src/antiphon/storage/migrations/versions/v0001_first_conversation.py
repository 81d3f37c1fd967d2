"""People, conversations, messages, inbox, outbox, notes, and full-text search in messages and notes."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_TABLES = ("notes", "outbox", "chunks", "inbox", "messages", "conversations", "accounts", "people")
_KEY = sa.BigInteger().with_variant(sa.Integer, "sqlite")

_FULL_TEXT_SQLITE = """
CREATE VIRTUAL TABLE messages_fts USING fts5(
    text, content='messages', content_rowid='number', tokenize='unicode61 remove_diacritics 2'
);
CREATE TRIGGER messages_found AFTER INSERT ON messages WHEN new.role != 'system' BEGIN
    INSERT INTO messages_fts(rowid, text) VALUES (new.number, new.text);
END;
CREATE TRIGGER messages_lost AFTER DELETE ON messages WHEN old.role != 'system' BEGIN
    INSERT INTO messages_fts(messages_fts, rowid, text) VALUES ('delete', old.number, old.text);
END;
CREATE TRIGGER messages_changed AFTER UPDATE OF text ON messages WHEN old.role != 'system' BEGIN
    INSERT INTO messages_fts(messages_fts, rowid, text) VALUES ('delete', old.number, old.text);
    INSERT INTO messages_fts(rowid, text) VALUES (new.number, new.text);
END;
CREATE VIRTUAL TABLE notes_fts USING fts5(
    text, content='notes', content_rowid='number', tokenize='unicode61 remove_diacritics 2'
);
CREATE TRIGGER notes_found AFTER INSERT ON notes BEGIN
    INSERT INTO notes_fts(rowid, text) VALUES (new.number, new.text);
END;
CREATE TRIGGER notes_lost AFTER DELETE ON notes BEGIN
    INSERT INTO notes_fts(notes_fts, rowid, text) VALUES ('delete', old.number, old.text);
END;
"""

# Signs become spaces, because PostgreSQL's parser makes one word of a path or an address; accents go without an
# extension, which not every server has. A tsvector has a largest size, hence the cut.
_FULL_TEXT_POSTGRESQL = r"""
CREATE FUNCTION antiphon_words(content text) RETURNS tsvector
LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURNS NULL ON NULL INPUT AS $$
    SELECT to_tsvector('pg_catalog.simple', translate(
        regexp_replace(normalize(left(content, 100000), NFD), '[\u0300-\u036f]', '', 'g'),
        '!"#$&''()*+,-./:;<=>?@[\]^_`{|}~', repeat(' ', 31)))
$$;

CREATE FUNCTION antiphon_query(words text) RETURNS tsquery
LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURNS NULL ON NULL INPUT AS $$
    SELECT string_agg(quote_literal(lexeme), ' | ')::tsquery
    FROM unnest(tsvector_to_array(antiphon_words(words))) lexeme
$$;

ALTER TABLE messages ADD COLUMN found tsvector
    GENERATED ALWAYS AS (CASE WHEN role <> 'system' THEN antiphon_words(text) END) STORED;

CREATE INDEX messages_found ON messages USING gin (found);

ALTER TABLE notes ADD COLUMN found tsvector GENERATED ALWAYS AS (antiphon_words(text)) STORED;

CREATE INDEX notes_found ON notes USING gin (found);

DO $$ BEGIN
    CREATE EXTENSION IF NOT EXISTS pg_trgm;
EXCEPTION WHEN insufficient_privilege OR undefined_file OR feature_not_supported THEN
    RAISE NOTICE 'pg_trgm may not be created here: search finds whole words only';
END $$;
"""


def upgrade() -> None:
    _people()
    _conversations()
    _inbox()
    _outbox()
    _notes()
    if op.get_context().dialect.name == "sqlite":
        for statement in _FULL_TEXT_SQLITE.split(";\nCREATE"):
            text = statement.strip().removesuffix(";")
            op.execute(text if text.startswith("CREATE") else f"CREATE {text}")
    else:
        for statement in _FULL_TEXT_POSTGRESQL.strip().split(";\n\n"):
            op.execute(statement.removesuffix(";"))


def downgrade() -> None:
    sqlite = op.get_context().dialect.name == "sqlite"
    if sqlite:
        op.drop_table("messages_fts")
        op.drop_table("notes_fts")
    for table in _TABLES:
        op.drop_table(table)
    if not sqlite:
        op.execute("DROP FUNCTION antiphon_query(text)")
        op.execute("DROP FUNCTION antiphon_words(text)")


def _people() -> None:
    op.create_table(
        "people",
        sa.Column("id", sa.Text(), primary_key=True),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("operator", sa.Boolean(), nullable=False),
        sa.Column("preferred_model", sa.Text()),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
    )
    op.create_table(
        "accounts",
        sa.Column("adapter", sa.Text(), primary_key=True),
        sa.Column("account", sa.Text(), primary_key=True),
        sa.Column("person_id", sa.Text(), sa.ForeignKey("people.id", ondelete="CASCADE"), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
    )


def _conversation() -> sa.Column[str]:
    key = sa.ForeignKey("conversations.id", ondelete="CASCADE")
    return sa.Column("conversation_id", sa.Text(), key, nullable=False)


def _conversations() -> None:
    op.create_table(
        "conversations",
        sa.Column("id", sa.Text(), primary_key=True),
        sa.Column("adapter", sa.Text(), nullable=False),
        sa.Column("place", sa.Text(), nullable=False),
        sa.Column("person_id", sa.Text(), sa.ForeignKey("people.id"), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("assistant", sa.Text(), nullable=False),
        sa.Column("model", sa.Text()),
        sa.Column("context_from", sa.BigInteger(), nullable=False),
        sa.Column("last_position", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.UniqueConstraint("adapter", "place", name="conversations_place"),
        sqlite_with_rowid=False,
    )
    op.create_index("conversations_of_person", "conversations", ["person_id", "updated_at"])
    op.create_table(
        "messages",
        sa.Column("number", _KEY, primary_key=True),
        sa.Column("id", sa.Text(), nullable=False),
        _conversation(),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("ticket", sa.BigInteger(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("parts", sa.Text()),
        sa.Column("turn_id", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("person", sa.Text()),
        sa.Column("in_context", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.UniqueConstraint("id", name="messages_id"),
        sa.UniqueConstraint("conversation_id", "position", name="messages_position"),
    )
    op.create_index("messages_ticket", "messages", ["conversation_id", "ticket", "position"])


def _inbox() -> None:
    op.create_table(
        "inbox",
        sa.Column("id", sa.Text(), primary_key=True),
        sa.Column("adapter", sa.Text(), nullable=False),
        sa.Column("place", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("thread", sa.Text()),
        sa.Column("reply_to", sa.Text()),
        _conversation(),
        sa.Column("message_id", sa.Text(), nullable=False),
        sa.Column("ticket", sa.BigInteger(), nullable=False),
        sa.Column("person_id", sa.Text(), nullable=False),
        sa.Column("attachments", sa.Text()),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("model", sa.Text()),
        sa.Column("record", sa.Text()),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("ended_at", sa.BigInteger()),
        sa.UniqueConstraint("adapter", "place", "key", name="inbox_key"),
        sqlite_with_rowid=False,
    )
    op.create_index("inbox_ticket", "inbox", ["conversation_id", "ticket"])
    still_open = sa.text("state != 'ended'")
    op.create_index("inbox_open", "inbox", ["id"], sqlite_where=still_open, postgresql_where=still_open)
    op.create_table(
        "chunks",
        sa.Column("turn_id", sa.Text(), sa.ForeignKey("inbox.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("seq", sa.BigInteger(), primary_key=True),
        sa.Column("number", sa.Integer(), primary_key=True),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sqlite_with_rowid=False,
    )


def _outbox() -> None:
    op.create_table(
        "outbox",
        sa.Column("id", sa.Text(), primary_key=True),
        _conversation(),
        sa.Column("turn_id", sa.Text(), nullable=False),
        sa.Column("message_id", sa.Text(), nullable=False),
        sa.Column("adapter", sa.Text(), nullable=False),
        sa.Column("place", sa.Text(), nullable=False),
        sa.Column("thread", sa.Text()),
        sa.Column("reply_to", sa.Text()),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("attempts", sa.SmallInteger(), nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=False),
        sa.Column("error", sa.Text()),
        sa.Column("platform_id", sa.Text()),
        sa.UniqueConstraint("turn_id", name="outbox_turn"),
        sqlite_with_rowid=False,
    )
    op.create_index("outbox_conversation", "outbox", ["conversation_id"])
    sendable = sa.text("state IN ('pending', 'sending')")
    op.create_index("outbox_open", "outbox", ["id"], sqlite_where=sendable, postgresql_where=sendable)


def _notes() -> None:
    op.create_table(
        "notes",
        sa.Column("number", _KEY, primary_key=True),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("person_id", sa.Text(), sa.ForeignKey("people.id", ondelete="CASCADE"), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("source_message_id", sa.Text()),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.UniqueConstraint("id", name="notes_id"),
        sa.UniqueConstraint("person_id", "digest", name="notes_text"),
    )
