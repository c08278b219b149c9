"""Alembic's entry: runs on the connection that store.migrate hands over."""

from alembic import context

from store.models import every_table

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=every_table(), compare_type=True)
with context.begin_transaction():
    context.run_migrations()
