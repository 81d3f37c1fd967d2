"""What was noted for people becomes facts, with an assistant, an importance and vectors, found by stems and pieces."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_KEY = sa.BigInteger().with_variant(sa.Integer, "sqlite")
_KEPT = "id, person_id, text, digest, source_message_id, created_at"

_FIND_FACTS_SQLITE = (
    """
CREATE VIRTUAL TABLE facts_fts USING fts5(
    text, content='facts', content_rowid='number', tokenize='porter unicode61 remove_diacritics 2'
)
""",
    """
CREATE VIRTUAL TABLE facts_similar_fts USING fts5(
    text, content='facts', content_rowid='number', tokenize='trigram'
)
""",
    """
CREATE TRIGGER facts_found AFTER INSERT ON facts BEGIN
    INSERT INTO facts_fts(rowid, text) VALUES (new.number, new.text);
    INSERT INTO facts_similar_fts(rowid, text) VALUES (new.number, new.text);
END
""",
    """
CREATE TRIGGER facts_lost AFTER DELETE ON facts BEGIN
    INSERT INTO facts_fts(facts_fts, rowid, text) VALUES ('delete', old.number, old.text);
    INSERT INTO facts_similar_fts(facts_similar_fts, rowid, text) VALUES ('delete', old.number, old.text);
END
""",
    """
CREATE TRIGGER facts_changed AFTER UPDATE OF text ON facts BEGIN
    INSERT INTO facts_fts(facts_fts, rowid, text) VALUES ('delete', old.number, old.text);
    INSERT INTO facts_similar_fts(facts_similar_fts, rowid, text) VALUES ('delete', old.number, old.text);
    INSERT INTO facts_fts(rowid, text) VALUES (new.number, new.text);
    INSERT INTO facts_similar_fts(rowid, text) VALUES (new.number, new.text);
END
""",
)

# The stems, and the words as they stand: the English configuration knows words that it leaves out, and SQLite none.
_FIND_FACTS_POSTGRESQL = (
    """
CREATE FUNCTION antiphon_stems(content text) RETURNS tsvector
LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURNS NULL ON NULL INPUT AS $$
    SELECT to_tsvector('pg_catalog.english', left(content, 100000))
$$
""",
    """
CREATE FUNCTION antiphon_stemmed_query(words text) RETURNS tsquery
LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURNS NULL ON NULL INPUT AS $$
    SELECT string_agg(quote_literal(lexeme), ' | ')::tsquery
    FROM unnest(tsvector_to_array(antiphon_words(words) || antiphon_stems(words))) lexeme
$$
""",
    """
ALTER TABLE facts ADD COLUMN found tsvector
    GENERATED ALWAYS AS (antiphon_words(text) || antiphon_stems(text)) STORED
""",
    "CREATE INDEX facts_found ON facts USING gin (found)",
    """
DO $$ BEGIN
    IF to_regprocedure('similarity(text, text)') IS NOT NULL THEN
        CREATE INDEX facts_similar ON facts USING gin (text gin_trgm_ops);
    END IF;
END $$
""",
)

_FIND_NOTES_SQLITE = (
    """
CREATE VIRTUAL TABLE notes_fts USING fts5(
    text, content='notes', content_rowid='number', tokenize='unicode61 remove_diacritics 2'
)
""",
    """
CREATE TRIGGER notes_found AFTER INSERT ON notes BEGIN
    INSERT INTO notes_fts(rowid, text) VALUES (new.number, new.text);
END
""",
    """
CREATE TRIGGER notes_lost AFTER DELETE ON notes BEGIN
    INSERT INTO notes_fts(notes_fts, rowid, text) VALUES ('delete', old.number, old.text);
END
""",
)
_FIND_NOTES_POSTGRESQL = (
    "ALTER TABLE notes ADD COLUMN found tsvector GENERATED ALWAYS AS (antiphon_words(text)) STORED",
    "CREATE INDEX notes_found ON notes USING gin (found)",
)


def upgrade() -> None:
    sqlite = op.get_context().dialect.name == "sqlite"
    _facts()
    _run(_FIND_FACTS_SQLITE if sqlite else _FIND_FACTS_POSTGRESQL)
    op.execute(
        f"INSERT INTO facts ({_KEPT}, importance) SELECT {_KEPT}, 3 FROM notes ORDER BY number"  # noqa: S608 - our own
    )
    if sqlite:
        op.drop_table("notes_fts")
    op.drop_table("notes")


def downgrade() -> None:
    sqlite = op.get_context().dialect.name == "sqlite"
    _notes()
    _run(_FIND_NOTES_SQLITE if sqlite else _FIND_NOTES_POSTGRESQL)
    op.execute(f"INSERT INTO notes ({_KEPT}) SELECT {_KEPT} FROM facts ORDER BY number")  # noqa: S608 - our own
    if not sqlite:
        op.execute("DROP TABLE IF EXISTS embeddings")  # which the server makes where it has pgvector
    op.drop_table("vectors")
    if sqlite:
        op.drop_table("facts_fts")
        op.drop_table("facts_similar_fts")
    op.drop_table("facts")
    if not sqlite:
        op.execute("DROP FUNCTION antiphon_stemmed_query(text)")
        op.execute("DROP FUNCTION antiphon_stems(text)")


def _run(statements: tuple[str, ...]) -> None:
    for statement in statements:
        op.execute(statement.strip())


def _remembered(kind: str) -> list[sa.schema.SchemaItem]:
    return [
        sa.Column("number", _KEY, primary_key=True),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("person_id", sa.Text(), sa.ForeignKey("people.id", ondelete="CASCADE"), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("source_message_id", sa.Text()),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.UniqueConstraint("id", name=f"{kind}_id"),
        sa.UniqueConstraint("person_id", "digest", name=f"{kind}_text"),
    ]


def _facts() -> None:
    op.create_table(
        "facts",
        *_remembered("facts"),
        sa.Column("assistant", sa.Text()),
        sa.Column("importance", sa.SmallInteger(), nullable=False),
    )
    op.create_index("facts_newest", "facts", ["person_id", "number"])
    op.create_index("facts_least", "facts", ["person_id", "importance", "number"])
    of_fact = sa.ForeignKey("facts.number", ondelete="CASCADE")
    op.create_table(
        "vectors",
        sa.Column("number", _KEY, of_fact, primary_key=True, autoincrement=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("dimension", sa.Integer(), nullable=False),
        sa.Column("vector", sa.LargeBinary(), nullable=False),
        sa.Column("made_at", sa.BigInteger(), nullable=False),
    )


def _notes() -> None:
    op.create_table("notes", *_remembered("notes"))
