"""Rows with texts that the vault encrypted, in whatever table: generated from the models, so that a new column is
covered from the day that it is declared `sealed`."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Table, Text, bindparam, cast, or_, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncSession

from db.models import SQLModel
from db.models.columns import SEALED

BEGINNING: Final = "gAAAAA"
"""What every text of the vault begins with: its version and the zeros before the time, until the year 2242."""


@dataclass(frozen=True, slots=True)
class SealedRow:
    """A row by its primary key, and its columns that hold something encrypted."""

    key: tuple[Any, ...]
    values: dict[str, Any]


def sealed_columns() -> dict[str, tuple[str, ...]]:
    """The columns that hold what the vault encrypted, by table."""
    found = {
        str(table.name): tuple(str(column.name) for column in table.columns if column.info.get(SEALED))
        for table in SQLModel.metadata.sorted_tables
    }
    return {name: columns for name, columns in found.items() if columns}


class SealedRows:
    """The rows of one table in all tenants: needs an unscoped unit."""

    def __init__(self, session: AsyncSession, table: str) -> None:
        self._session = session
        self._table: Table = SQLModel.metadata.tables[table]
        self._key = list(self._table.primary_key.columns)
        self._columns = [self._table.c[name] for name in sealed_columns()[table]]

    async def page(self, after: tuple[Any, ...] | None, limit: int) -> list[SealedRow]:
        """Up to `limit` rows with something encrypted, in the order of the key, after that of another."""
        marked = or_(*(cast(column, Text).contains(BEGINNING) for column in self._columns))
        statement = select(*self._key, *self._columns).where(marked).order_by(*self._key).limit(limit)
        if after is not None:
            statement = statement.where(tuple_(*self._key) > tuple_(*self._bound(after)))
        return await self._rows(statement)

    async def locked(self, keys: Sequence[tuple[Any, ...]]) -> list[SealedRow]:
        """These rows, as far as they are still there, so that nobody else changes them in this transaction."""
        chosen = tuple_(*self._key).in_([tuple_(*self._bound(key)) for key in keys])
        return await self._rows(select(*self._key, *self._columns).where(chosen).order_by(*self._key).with_for_update())

    async def put(self, row: SealedRow) -> None:
        """Write these columns of a row and nothing else."""
        mine = (column == value for column, value in zip(self._key, row.key, strict=True))
        await self._session.execute(update(self._table).where(*mine).values(row.values))

    def _bound(self, key: tuple[Any, ...]) -> list[Any]:
        pairs = zip(self._key, key, strict=True)
        return [bindparam(None, value, type_=column.type, unique=True) for column, value in pairs]

    async def _rows(self, statement: Any) -> list[SealedRow]:
        width, names = len(self._key), [str(column.name) for column in self._columns]
        return [
            SealedRow(tuple(row[:width]), dict(zip(names, row[width:], strict=True)))
            for row in (await self._session.execute(statement)).all()
        ]
