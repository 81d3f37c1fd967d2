"""A turn can wait for a person to allow what a tool is to do."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "pauses",
        sa.Column("turn_id", sa.Text(), sa.ForeignKey("inbox.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("conversation_id", sa.Text(), nullable=False),
        sa.Column("person_id", sa.Text(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("data", sa.Text(), nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index("pauses_of_conversation", "pauses", ["conversation_id"])


def downgrade() -> None:
    # Whoever knows no pauses knows no turn that waits either: it is ended as one that a crash has interrupted.
    op.execute("UPDATE inbox SET state = 'running' WHERE state IN ('waiting', 'decided')")
    op.execute("UPDATE messages SET status = 'accepted' WHERE status = 'waiting'")
    op.drop_table("pauses")
