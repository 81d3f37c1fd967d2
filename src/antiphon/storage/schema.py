"""The tables, for every database. Times are integer microseconds since 1970 UTC; JSON is text that carries `FORMAT`.

Only generators, migrations and tests import this: the running store reads the SQL made from it (`sql/generate.py`),
because importing SQLAlchemy costs more than the whole start of a store. Tables with a text key have no row ids in
SQLite: every index less is a page less in each commit, and commits are half of what a turn costs.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    false,
    text,
)

metadata = MetaData()

_BigKey = BigInteger().with_variant(Integer, "sqlite")  # only INTEGER is an alias of the row id there


def _conversation() -> Column[str]:
    return Column("conversation_id", Text, ForeignKey("conversations.id", ondelete="CASCADE"), nullable=False)


people = Table(
    "people",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("operator", Boolean, nullable=False),
    Column("preferred_model", Text),
    Column("created_at", BigInteger, nullable=False),
    Column("language", Text),
)

accounts = Table(
    "accounts",
    metadata,
    Column("adapter", Text, primary_key=True),
    Column("account", Text, primary_key=True),
    Column("person_id", Text, ForeignKey("people.id", ondelete="CASCADE"), nullable=False),
    Column("created_at", BigInteger, nullable=False),
)

conversations = Table(
    "conversations",
    metadata,
    Column("id", Text, primary_key=True),
    Column("adapter", Text, nullable=False),
    Column("place", Text, nullable=False),
    Column("person_id", Text, ForeignKey("people.id"), nullable=False),
    Column("title", Text, nullable=False),
    Column("assistant", Text, nullable=False),
    Column("model", Text),
    Column("context_from", BigInteger, nullable=False),
    Column("last_position", BigInteger, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    UniqueConstraint("adapter", "place", name="conversations_place"),
    Index("conversations_of_person", "person_id", "updated_at"),
    sqlite_with_rowid=False,
)

messages = Table(
    "messages",
    metadata,
    Column("number", _BigKey, primary_key=True),  # what the full-text index points to: row ids change in VACUUM
    Column("id", Text, nullable=False),
    _conversation(),
    Column("position", BigInteger, nullable=False),
    Column("ticket", BigInteger, nullable=False),
    Column("role", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("parts", Text),
    Column("turn_id", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("person", Text),
    Column("in_context", Boolean, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("attachments", Text),
    UniqueConstraint("id", name="messages_id"),
    UniqueConstraint("conversation_id", "position", name="messages_position"),
    Index("messages_ticket", "conversation_id", "ticket", "position"),
)

inbox = Table(
    "inbox",
    metadata,
    Column("id", Text, primary_key=True),
    Column("adapter", Text, nullable=False),
    Column("place", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("thread", Text),
    Column("reply_to", Text),
    _conversation(),
    Column("message_id", Text, nullable=False),
    Column("ticket", BigInteger, nullable=False),
    Column("person_id", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("model", Text),
    Column("record", Text),
    Column("created_at", BigInteger, nullable=False),
    Column("ended_at", BigInteger),
    Column("node", Text, nullable=False, server_default=""),  # which process sees it through, with its reply
    UniqueConstraint("adapter", "place", "key", name="inbox_key"),
    Index("inbox_ticket", "conversation_id", "ticket"),
    Index(
        "inbox_open",
        "conversation_id",
        "ticket",
        sqlite_where=text("state != 'ended'"),
        postgresql_where=text("state != 'ended'"),
    ),
    sqlite_with_rowid=False,
)

chunks = Table(
    "chunks",
    metadata,
    Column("turn_id", Text, ForeignKey("inbox.id", ondelete="CASCADE"), primary_key=True),
    Column("seq", BigInteger, primary_key=True),
    Column("number", Integer, primary_key=True),  # of the chunk in its append
    Column("kind", Text, nullable=False),
    Column("text", Text, nullable=False),
    sqlite_with_rowid=False,
)

outbox = Table(
    "outbox",
    metadata,
    Column("id", Text, primary_key=True),
    _conversation(),
    Column("turn_id", Text, nullable=False),
    Column("message_id", Text, nullable=False),
    Column("adapter", Text, nullable=False),
    Column("place", Text, nullable=False),
    Column("thread", Text),
    Column("reply_to", Text),
    Column("state", Text, nullable=False),
    Column("attempts", SmallInteger, nullable=False),
    Column("due_at", BigInteger, nullable=False),
    Column("error", Text),
    Column("platform_id", Text),
    UniqueConstraint("turn_id", name="outbox_turn"),
    Index("outbox_conversation", "conversation_id"),
    Index(
        "outbox_open",
        "id",
        sqlite_where=text("state IN ('pending', 'sending')"),
        postgresql_where=text("state IN ('pending', 'sending')"),
    ),
    sqlite_with_rowid=False,
)

states = Table(
    "states",
    metadata,
    Column("conversation_id", Text, ForeignKey("conversations.id", ondelete="CASCADE"), primary_key=True),
    Column("name", Text, primary_key=True),
    Column("data", Text, nullable=False),
    sqlite_with_rowid=False,
)

summaries = Table(
    "summaries",
    metadata,
    Column("conversation_id", Text, ForeignKey("conversations.id", ondelete="CASCADE"), primary_key=True),
    Column("context_from", BigInteger, nullable=False),
    Column("upto", BigInteger, nullable=False),
    Column("text", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

pauses = Table(
    "pauses",
    metadata,
    Column("turn_id", Text, ForeignKey("inbox.id", ondelete="CASCADE"), primary_key=True),
    Column("conversation_id", Text, nullable=False),
    Column("person_id", Text, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Column("data", Text, nullable=False),
    Index("pauses_of_conversation", "conversation_id"),
    sqlite_with_rowid=False,
)

approvals = Table(
    "approvals",
    metadata,
    Column("id", Text, primary_key=True),
    Column("turn_id", Text, ForeignKey("pauses.turn_id", ondelete="CASCADE"), nullable=False),
    Column("person_id", Text, nullable=False),
    Index("approvals_of_turn", "turn_id"),
    sqlite_with_rowid=False,
)

charges = Table("charges", metadata, Column("id", Text, primary_key=True), sqlite_with_rowid=False)

spending = Table(
    "spending",
    metadata,
    Column("day", Text, primary_key=True),
    Column("scope", Text, primary_key=True),
    Column("owner", Text, primary_key=True),
    Column("calls", BigInteger, nullable=False),
    Column("input_tokens", BigInteger, nullable=False),
    Column("output_tokens", BigInteger, nullable=False),
    Column("nanos", BigInteger, nullable=False),
    Column("unpriced", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

assignments = Table(
    "assignments",
    metadata,
    Column("experiment", Text, primary_key=True),
    Column("person_id", Text, ForeignKey("people.id", ondelete="CASCADE"), primary_key=True),
    Column("variant", Text, nullable=False),
    sqlite_with_rowid=False,
)

results = Table(
    "results",
    metadata,
    Column("turn_id", Text, ForeignKey("inbox.id", ondelete="CASCADE"), primary_key=True),
    Column("experiment", Text, nullable=False),
    Column("variant", Text, nullable=False),
    Column("person_id", Text, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("elapsed_ms", BigInteger),
    Column("input_tokens", BigInteger, nullable=False),
    Column("output_tokens", BigInteger, nullable=False),
    Column("nanos", BigInteger),
    Index("results_of_experiment", "experiment", "variant"),
    sqlite_with_rowid=False,
)

feedback = Table(
    "feedback",
    metadata,
    Column("turn_id", Text, ForeignKey("inbox.id", ondelete="CASCADE"), primary_key=True),
    Column("verdict", Text, nullable=False),
    Column("comment", Text),
    Column("given_at", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

facts = Table(
    "facts",
    metadata,
    Column("number", _BigKey, primary_key=True),
    Column("id", Text, nullable=False),
    Column("person_id", Text, ForeignKey("people.id", ondelete="CASCADE"), nullable=False),
    Column("text", Text, nullable=False),
    Column("digest", Text, nullable=False),  # of the normalised text: an index on long text has a limit in PostgreSQL
    Column("source_message_id", Text),
    Column("assistant", Text),
    Column("importance", SmallInteger, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("extracted", Boolean, nullable=False, server_default=false()),
    UniqueConstraint("id", name="facts_id"),
    UniqueConstraint("person_id", "digest", name="facts_text"),
    Index("facts_newest", "person_id", "number"),
    Index("facts_least", "person_id", "importance", "number"),
)

vectors = Table(
    "vectors",
    metadata,
    Column("number", _BigKey, ForeignKey("facts.number", ondelete="CASCADE"), primary_key=True, autoincrement=False),
    Column("model", Text, nullable=False),
    Column("dimension", Integer, nullable=False),
    Column("vector", LargeBinary, nullable=False),
    Column("made_at", BigInteger, nullable=False),
)

files = Table(
    "files",
    metadata,
    Column("number", _BigKey, primary_key=True),
    Column("id", Text, nullable=False),
    Column("person_id", Text, ForeignKey("people.id", ondelete="CASCADE"), nullable=False),
    Column("digest", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("media_type", Text, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("data", LargeBinary, nullable=False),  # the last one: SQLite reads a row from its beginning
    UniqueConstraint("id", name="files_id"),
    UniqueConstraint("person_id", "digest", name="files_content"),
)

file_uses = Table(
    "file_uses",
    metadata,
    Column("file_id", Text, ForeignKey("files.id"), primary_key=True),
    Column("conversation_id", Text, ForeignKey("conversations.id", ondelete="CASCADE"), primary_key=True),
    Index("file_uses_of_conversation", "conversation_id"),
    sqlite_with_rowid=False,
)
