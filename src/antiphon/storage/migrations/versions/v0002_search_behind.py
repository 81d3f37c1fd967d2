"""SQLite's full-text index is filled behind the writing, by `index_messages`, and not with every message."""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

# Taking out of an index what is not in it would damage it.
_LOST = """
CREATE TRIGGER messages_lost AFTER DELETE ON messages
WHEN old.role != 'system' AND EXISTS (SELECT 1 FROM messages_fts_docsize WHERE id = old.number) BEGIN
    INSERT INTO messages_fts(messages_fts, rowid, text) VALUES ('delete', old.number, old.text);
END
"""
_CHANGED = """
CREATE TRIGGER messages_changed AFTER UPDATE OF text ON messages
WHEN old.role != 'system' AND EXISTS (SELECT 1 FROM messages_fts_docsize WHERE id = old.number) BEGIN
    INSERT INTO messages_fts(messages_fts, rowid, text) VALUES ('delete', old.number, old.text);
    INSERT INTO messages_fts(rowid, text) VALUES (new.number, new.text);
END
"""

_FILL = """
INSERT INTO messages_fts(rowid, text)
SELECT number, text FROM messages
WHERE number > coalesce((SELECT max(id) FROM messages_fts_docsize), 0) AND role != 'system'
ORDER BY number
"""
_FOUND_BEFORE = """
CREATE TRIGGER messages_found AFTER INSERT ON messages WHEN new.role != 'system' BEGIN
    INSERT INTO messages_fts(rowid, text) VALUES (new.number, new.text);
END
"""
_LOST_BEFORE = """
CREATE TRIGGER messages_lost AFTER DELETE ON messages WHEN old.role != 'system' BEGIN
    INSERT INTO messages_fts(messages_fts, rowid, text) VALUES ('delete', old.number, old.text);
END
"""
_CHANGED_BEFORE = """
CREATE TRIGGER messages_changed AFTER UPDATE OF text ON messages WHEN old.role != 'system' BEGIN
    INSERT INTO messages_fts(messages_fts, rowid, text) VALUES ('delete', old.number, old.text);
    INSERT INTO messages_fts(rowid, text) VALUES (new.number, new.text);
END
"""


def upgrade() -> None:
    if op.get_context().dialect.name == "sqlite":
        _replace("messages_found", "messages_lost", "messages_changed", by=(_LOST, _CHANGED))


def downgrade() -> None:
    if op.get_context().dialect.name == "sqlite":
        op.execute(_FILL.strip())
        _replace("messages_lost", "messages_changed", by=(_FOUND_BEFORE, _LOST_BEFORE, _CHANGED_BEFORE))


def _replace(*triggers: str, by: tuple[str, ...]) -> None:
    for trigger in triggers:
        op.execute(f"DROP TRIGGER {trigger}")
    for statement in by:
        op.execute(statement.strip())
