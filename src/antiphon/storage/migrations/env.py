"""Alembic's entry: migrates the connection that `upgrade.py` passes in, or writes the SQL for a database it names."""

from alembic import context

from antiphon.storage.schema import metadata

connection = context.config.attributes["connection"]
if connection is not None:
    context.configure(connection=connection, target_metadata=metadata)
else:
    context.configure(dialect_name=context.config.attributes["dialect"], target_metadata=metadata, literal_binds=True)
context.run_migrations()
