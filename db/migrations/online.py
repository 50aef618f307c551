"""Indexes of tables that are in use: built while everybody goes on reading and writing."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

import sqlalchemy as sa
from alembic import op

# It waits for every transaction that is open, and keeps nobody waiting meanwhile.
_PATIENCE: Final = "10min"
_IS_UNFINISHED: Final = sa.text(
    "SELECT true FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid"
    " WHERE relname = :name AND relnamespace = 'public'::regnamespace AND NOT indisvalid"
)


def create_index_online(
    name: str,
    table: str,
    columns: Sequence[str | sa.TextClause],
    *,
    unique: bool = False,
    where: sa.TextClause | None = None,
) -> None:
    """Create the index of a table that may be large; what an earlier run left unfinished is built anew.

    On PostgreSQL it is built outside of a transaction: a migration with an index of this kind has nothing else, so that
    it is done or can be done again.
    """
    with _alone() as is_concurrent:
        if is_concurrent and not op.get_context().as_sql and op.get_bind().scalar(_IS_UNFINISHED, {"name": name}):
            op.drop_index(name, table_name=table, postgresql_concurrently=True)
        op.create_index(
            name,
            table,
            list(columns),
            unique=unique,
            sqlite_where=where,
            postgresql_where=where,
            postgresql_concurrently=is_concurrent,
            if_not_exists=is_concurrent,
        )


def drop_index_online(name: str, table: str) -> None:
    """Drop the index of a table that may be large, as `create_index_online` makes it."""
    with _alone() as is_concurrent:
        op.drop_index(name, table_name=table, postgresql_concurrently=is_concurrent, if_exists=is_concurrent)


@contextmanager
def _alone() -> Iterator[bool]:
    """Whether it is done outside of a transaction: not on SQLite, nor where all migrations are one, as in a restore."""
    context = op.get_context()
    commits = context.as_sql or (context.config is not None and context.config.attributes.get("commits", False))
    if context.dialect.name != "postgresql" or not commits:
        yield False
        return
    with context.autocommit_block():
        if not context.as_sql:
            op.execute(f"SET lock_timeout = '{_PATIENCE}'")
        yield True
