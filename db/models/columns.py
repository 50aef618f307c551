"""Columns that every table spells the same way."""

from datetime import datetime
from typing import Any, Final

from sqlalchemy import ForeignKeyConstraint
from sqlmodel import Field, SQLModel

from db.types import JsonColumn, UTCDateTime

SEALED: Final = "sealed"
"""Marks a column, in its `info`, whose texts the vault encrypted."""

# Named constraints, because SQLite's batch migrations can only drop what has a name.
SQLModel.metadata.naming_convention = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}


def key(**options: Any) -> Any:
    """A primary-key column."""
    return Field(primary_key=True, **options)


def moment(**options: Any) -> Any:
    """An aware UTC datetime column."""
    return Field(sa_type=UTCDateTime, **options)


def document(**options: Any) -> Any:
    """A JSON column."""
    return Field(sa_type=JsonColumn, **options)


def sealed(**options: Any) -> Any:
    """A column with what the vault encrypted: a text, or the texts of a document. `formstream secrets reseal` finds
    it by this."""
    arguments = {**options.pop("sa_column_kwargs", {}), "info": {SEALED: True}}
    return Field(sa_column_kwargs=arguments, **options)


def belongs_to(table: str, *columns: str, cascade: bool = True) -> ForeignKeyConstraint:
    """A composite foreign key that carries the tenant, so a row can never point at another tenant's."""
    local = ("tenant_id", *columns)
    remote = ("tenant_id", "id") if len(columns) == 1 else local
    return ForeignKeyConstraint(local, [f"{table}.{name}" for name in remote], ondelete="CASCADE" if cascade else None)


__all__ = ["SEALED", "belongs_to", "datetime", "document", "key", "moment", "sealed"]
