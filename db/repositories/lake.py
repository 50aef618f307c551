"""Queries on the tables of the lake."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, Text, and_, cast, false, func, not_, or_, select, tuple_, type_coerce
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from db.models.exports import LakeTable
from db.models.forms import Form, FormCounter
from db.models.identity import Tenant

_TELLING: Final = ".entities"
_TYPES: Final = ".types"
"""Beside each column that tells what answers name there is one of the types."""


def lacks(columns: Sequence[Mapping[str, Any]], wanted: Collection[str]) -> bool:
    """Whether a table of these columns was written before all that are wanted were known, or the types of what answers
    name; one of nothing lacks none."""
    names = {str(column["name"]) for column in columns}
    beside = {f"{name}{_TYPES}" for name in names if name.startswith("ai.") and name.endswith(_TELLING)}
    return bool(columns) and not names.issuperset({*wanted, *beside})


class LakeRepository:
    """The tables of one tenant."""

    def __init__(self, session: AsyncSession, tenant_id: str) -> None:
        self._session = session
        self._tenant_id = tenant_id

    def add(self, row: LakeTable) -> None:
        """Add the table of a form that had none."""
        self._session.add(row)

    async def age(self) -> tuple[int, datetime | None]:
        """The number of tables, and when the one that is longest untouched was written."""
        statement = select(func.count(), func.min(col(LakeTable.updated_at))).where(
            col(LakeTable.tenant_id) == self._tenant_id
        )
        count, oldest = (await self._session.execute(statement)).one()
        return int(count), oldest

    async def find(self, form_id: str, *, for_update: bool = False) -> LakeTable | None:
        """A form's table; with `for_update` as last committed, and nobody else changes it meanwhile."""
        return await self._session.get(
            LakeTable, (self._tenant_id, form_id), with_for_update=for_update or None, populate_existing=for_update
        )


class LakeDirectory:
    """Forms that changed since their table was made: needs an unscoped unit."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def due_in_any_tenant(
        self, after: tuple[str, str], limit: int, wanted: Collection[str] = ()
    ) -> Sequence[tuple[str, str]]:
        """Up to `limit` forms of active tenants, as tenant and id, after a tenant and an id; also those whose table
        lacks columns that are wanted."""
        tenant, form = col(FormCounter.tenant_id), col(FormCounter.form_id)
        statement = (
            select(tenant, form)
            .join(Form, and_(col(Form.tenant_id) == tenant, col(Form.id) == form))
            .join(Tenant, col(Tenant.id) == tenant)
            .outerjoin(LakeTable, and_(col(LakeTable.tenant_id) == tenant, col(LakeTable.form_id) == form))
            .where(
                col(Form.deleted_at).is_(None),
                col(Form.published_version).is_not(None),
                col(Tenant.status) == "active",
                or_(col(FormCounter.changes) > func.coalesce(col(LakeTable.change), 0), self._lacks(wanted)),
                tuple_(tenant, form) > after,
            )
            .order_by(tenant, form)
            .limit(limit)
        )
        return [(tenant_id, form_id) for tenant_id, form_id in (await self._session.execute(statement)).all()]

    def _lacks(self, wanted: Collection[str]) -> ColumnElement[bool]:
        """As `lacks`."""
        is_sqlite = self._session.get_bind().dialect.name == "sqlite"
        columns: Any = type_coerce(LakeTable.columns, Text) if is_sqlite else cast(col(LakeTable.columns), Text)
        each = [not_(columns.contains(f'"{name}"', autoescape=True)) for name in wanted]
        telling = columns.like(f'%"ai.%{_TELLING}"%'), not_(columns.contains(f'{_TELLING}{_TYPES}"', autoescape=True))
        return and_(columns != "[]", or_(false(), and_(*telling), *each))
