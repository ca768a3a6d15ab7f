"""Run by alembic: on the connection that `migrations.upgrade` hands over."""

from alembic import context
from sqlmodel import SQLModel

from migrations import included

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=SQLModel.metadata,
    include_object=included,
    compare_type=True,
    transaction_per_migration=False,
)
with context.begin_transaction():
    context.run_migrations()
