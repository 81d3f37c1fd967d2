"""Of a fact it is known whether a model found it in what the person said, or somebody asked to keep it."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("facts", sa.Column("extracted", sa.Boolean(), nullable=False, server_default=sa.false()))


def downgrade() -> None:
    op.drop_column("facts", "extracted")
