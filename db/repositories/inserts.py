"""Insertion that loses a race without an exception, in the words of each dialect."""

from typing import Any

from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import SQLModel


async def insert_if_absent(session: AsyncSession, row: SQLModel, *unique: str) -> bool:
    """Insert `row` unless one with the same `unique` columns exists or is being committed; whether it was inserted."""
    table: Any = row.__table__  # type: ignore[attr-defined]
    dialect: Any = postgresql if session.get_bind().dialect.name == "postgresql" else sqlite
    statement = dialect.insert(table).values(**row.model_dump()).on_conflict_do_nothing(index_elements=unique)
    inserted = await session.execute(statement.returning(table.c[unique[0]]))
    return inserted.first() is not None
