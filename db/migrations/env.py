"""Alembic's entry: runs the lineage over the connection that `db.migrate` opened, or writes it down as SQL."""

from alembic import context

from db.models import SQLModel

if context.is_offline_mode():
    context.configure(dialect_name=context.config.attributes["dialect"], literal_binds=True)
else:
    context.configure(
        connection=context.config.attributes["connection"],
        target_metadata=SQLModel.metadata,
        render_as_batch=True,
        compare_type=True,
        transaction_per_migration=True,
    )
with context.begin_transaction():
    context.run_migrations()
