"""All rows of one tenant, whatever they are: generated from the models, so that a new table is covered at once."""

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import Table, bindparam, delete, func, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from db.models import SQLModel

TENANT: Final = "tenant"

# Jobs and unpublished events make new rows, so they go first; the audit trail tells of all the others, so it goes last.
_ERASED_FIRST: Final = ("job", "event", "failed_event")
_ERASED_LAST: Final = ("audit_entry", "audit_head")

_DERIVED: Final = frozenset(
    {"answer_entry", "answer_index", "answer_vector", "metric_count", "metric_part", "metric_state"}
)
"""Made from other tables in the background, and many times their rows: erased like them, but not exported."""


def tables_of_tenants() -> dict[str, tuple[str, ...]]:
    """Every table with a tenant and its columns, what others refer to first; `tenant` itself leads."""
    return {str(table.name): tuple(str(column.name) for column in table.columns) for table in _tables()}


def tables_to_export() -> dict[str, tuple[str, ...]]:
    """Those of `tables_of_tenants` that hold what is nowhere else."""
    return {name: columns for name, columns in tables_of_tenants().items() if name not in _DERIVED}


def tables_to_erase() -> tuple[str, ...]:
    """Every table whose rows an erasure deletes, in an order in which no foreign key objects."""
    names = [name for name in reversed(tables_of_tenants()) if name != TENANT]
    return tuple(sorted(names, key=_turn))


def _tables() -> list[Table]:
    found = [table for table in SQLModel.metadata.sorted_tables if "tenant_id" in table.columns]
    return [SQLModel.metadata.tables[TENANT], *found]


def _turn(name: str) -> int:
    return 0 if name in _ERASED_FIRST else 2 if name in _ERASED_LAST else 1


class TenantDataRepository:
    """The rows of one tenant in any table, which is given by its name."""

    def __init__(self, session: AsyncSession, tenant_id: str) -> None:
        self._session = session
        self._tenant_id = tenant_id

    async def page(
        self, name: str, columns: Sequence[str], after: Sequence[Any] | None, limit: int
    ) -> tuple[list[dict[str, Any]], list[Any] | None]:
        """Up to `limit` rows in the order of the primary key, after the key `after`, and the key of the last one."""
        table = SQLModel.metadata.tables[name]
        key = list(table.primary_key.columns)
        labelled = [column.label(f"key_{number}") for number, column in enumerate(key)]
        statement = (
            select(*(table.c[column] for column in columns), *labelled)
            .where(self._is_mine(table))
            .order_by(*key)
            .limit(limit)
        )
        if after is not None:
            position = [
                bindparam(None, value, type_=column.type, unique=True) for column, value in zip(key, after, strict=True)
            ]
            statement = statement.where(tuple_(*key) > tuple_(*position))
        rows = (await self._session.execute(statement)).all()
        # By position: a column may be among the values and in the key.
        values = [dict(zip(columns, row[: len(columns)], strict=True)) for row in rows]
        return values, list(rows[-1][len(columns) :]) if rows else None

    async def count(self, name: str) -> int:
        """How many rows of the tenant the table holds."""
        table = SQLModel.metadata.tables[name]
        statement = select(func.count()).select_from(table).where(self._is_mine(table))
        return await self._session.scalar(statement) or 0

    async def erase(self, name: str, limit: int) -> int:
        """Delete up to `limit` rows; how many there were."""
        table = SQLModel.metadata.tables[name]
        key = list(table.primary_key.columns)
        chosen = select(*key).where(self._is_mine(table)).limit(limit)
        statement = delete(table).where(self._is_mine(table), tuple_(*key).in_(chosen))
        result = await (await self._session.connection()).execute(statement)
        return result.rowcount

    def _is_mine(self, table: Table) -> Any:
        owner = table.c.id if table.name == TENANT else table.c.tenant_id
        return owner == self._tenant_id
