"""Alembic's entry: migrates the connection that `upgrade.py` passes in."""

from alembic import context

from antiphon.storage.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
)
context.run_migrations()
