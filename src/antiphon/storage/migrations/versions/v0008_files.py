"""Files that people send are kept, and what a message names is kept with the message."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_BigKey = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "files",
        sa.Column("number", _BigKey, primary_key=True),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("person_id", sa.Text(), sa.ForeignKey("people.id", ondelete="CASCADE"), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("media_type", sa.Text(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.UniqueConstraint("id", name="files_id"),
        sa.UniqueConstraint("person_id", "digest", name="files_content"),
    )
    op.create_table(
        "file_uses",
        sa.Column("file_id", sa.Text(), sa.ForeignKey("files.id"), primary_key=True),
        sa.Column(
            "conversation_id", sa.Text(), sa.ForeignKey("conversations.id", ondelete="CASCADE"), primary_key=True
        ),
        sqlite_with_rowid=False,
    )
    op.create_index("file_uses_of_conversation", "file_uses", ["conversation_id"])
    op.add_column("messages", sa.Column("attachments", sa.Text()))
    op.execute(
        "UPDATE messages SET attachments = (SELECT inbox.attachments FROM inbox WHERE inbox.message_id = messages.id) "
        "WHERE id IN (SELECT message_id FROM inbox WHERE attachments IS NOT NULL)"
    )
    op.drop_column("inbox", "attachments")


def downgrade() -> None:
    op.add_column("inbox", sa.Column("attachments", sa.Text()))
    op.execute(
        "UPDATE inbox SET attachments = "
        "(SELECT messages.attachments FROM messages WHERE messages.id = inbox.message_id) "
        "WHERE message_id IN (SELECT id FROM messages WHERE attachments IS NOT NULL)"
    )
    op.drop_column("messages", "attachments")
    op.drop_table("file_uses")
    op.drop_table("files")
