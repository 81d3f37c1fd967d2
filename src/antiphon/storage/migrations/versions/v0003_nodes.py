"""Several processes may answer from a PostgreSQL database: every turn tells which of them sees it through."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_UNENDED = sa.text("state != 'ended'")


def upgrade() -> None:
    # The default is for the turns that are there: nobody's.
    op.add_column("inbox", sa.Column("node", sa.Text(), nullable=False, server_default=""))
    _index_open_turns("conversation_id", "ticket")


def downgrade() -> None:
    _index_open_turns("id")
    op.drop_column("inbox", "node")


def _index_open_turns(*columns: str) -> None:
    op.drop_index("inbox_open", "inbox")
    op.create_index("inbox_open", "inbox", list(columns), sqlite_where=_UNENDED, postgresql_where=_UNENDED)
