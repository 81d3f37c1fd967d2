"""What turns wait for is found by its own id, however many turns wait."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

# Pauses are JSON that may be damaged: SQLite reads what it can, PostgreSQL looks for the ids as they are written.
_ASKED_SQLITE = """
INSERT INTO approvals SELECT json_extract(asked.value, '$.id'), turn_id, person_id FROM pauses,
    json_each(CASE WHEN json_valid(data) THEN data ELSE '{}' END, '$.value.approvals') AS asked
"""
_ASKED_POSTGRESQL = """
INSERT INTO approvals SELECT asked.found[1], turn_id, person_id FROM pauses,
    regexp_matches(data, '\\{"id":"([0-9A-Z]{26})","turn_id":"', 'g') AS asked (found)
"""


def upgrade() -> None:
    op.create_table(
        "approvals",
        sa.Column("id", sa.Text(), primary_key=True),
        sa.Column("turn_id", sa.Text(), sa.ForeignKey("pauses.turn_id", ondelete="CASCADE"), nullable=False),
        sa.Column("person_id", sa.Text(), nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index("approvals_of_turn", "approvals", ["turn_id"])
    op.execute(_ASKED_SQLITE if op.get_context().dialect.name == "sqlite" else _ASKED_POSTGRESQL)


def downgrade() -> None:
    op.drop_table("approvals")
