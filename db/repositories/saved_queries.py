"""Queries for the questions that tenants keep."""

from collections.abc import Collection, Sequence

from sqlalchemy import delete, func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from db.models.analytics import SavedQuery


class SavedQueryRepository:
    """The saved queries of one tenant."""

    def __init__(self, session: AsyncSession, tenant_id: str) -> None:
        self._session = session
        self._tenant_id = tenant_id
        self._mine = select(SavedQuery).where(col(SavedQuery.tenant_id) == tenant_id)

    def add(self, query: SavedQuery) -> None:
        """Add one; a name that is taken is found out when it is flushed."""
        self._session.add(query)

    async def find(self, query_id: str, *, for_update: bool = False) -> SavedQuery | None:
        """The one with this id."""
        return await self._session.get(SavedQuery, (self._tenant_id, query_id), with_for_update=for_update or None)

    async def page(
        self, form_id: str | None, among: Collection[str] | None, after_id: str | None, limit: int
    ) -> Sequence[SavedQuery]:
        """Those about a form or all, of the forms `among` if not None, oldest first, after the id `after_id`."""
        statement = self._mine.order_by(col(SavedQuery.id)).limit(limit)
        if form_id is not None:
            statement = statement.where(col(SavedQuery.form_id) == form_id)
        if among is not None:
            statement = statement.where(col(SavedQuery.form_id).in_(sorted(among)))
        if after_id is not None:
            statement = statement.where(col(SavedQuery.id) > after_id)
        return (await self._session.scalars(statement)).all()

    async def count(self) -> int:
        """How many there are."""
        return await self._session.scalar(select(func.count()).select_from(self._mine.subquery())) or 0

    async def remove(self, query_id: str) -> None:
        """Forget one."""
        await self._session.execute(
            delete(SavedQuery).where(col(SavedQuery.tenant_id) == self._tenant_id, col(SavedQuery.id) == query_id)
        )
