"""Alembic's entry point: runs the migrations on the connection that `migrate` hands it.

What belongs here: nothing but the wiring. The schema is in `tables`, the steps are in `versions`.
"""

from alembic import context

from infra.postgres.migrate import VERSION_TABLE_SCHEMA
from infra.postgres.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    include_schemas=True,
    version_table_schema=VERSION_TABLE_SCHEMA,
    transaction_per_migration=True,
)
with context.begin_transaction():
    context.run_migrations()
