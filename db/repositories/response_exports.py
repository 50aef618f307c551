"""Queries on exports of responses."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from db.models.exports import ResponseExport


class ResponseExportRepository:
    """The exports of one tenant's forms."""

    def __init__(self, session: AsyncSession, tenant_id: str) -> None:
        self._session = session
        self._tenant_id = tenant_id

    def add(self, row: ResponseExport) -> None:
        """Add an export that was ordered."""
        self._session.add(row)

    async def find(self, export_id: str, *, for_update: bool = False) -> ResponseExport | None:
        """The export; with `for_update` as last committed, and nobody else changes it meanwhile."""
        return await self._session.get(
            ResponseExport,
            (self._tenant_id, export_id),
            with_for_update=for_update or None,
            populate_existing=for_update,
        )

    async def of_job(self, job_id: str) -> ResponseExport | None:
        """The export that a job makes."""
        mine = select(ResponseExport).where(col(ResponseExport.tenant_id) == self._tenant_id)
        return await self._session.scalar(mine.where(col(ResponseExport.job_id) == job_id))

    async def delete(self, row: ResponseExport) -> None:
        """Forget an export."""
        await self._session.delete(row)

    async def page(
        self, form_id: str, before_id: str | None, limit: int, *, personal: bool
    ) -> Sequence[ResponseExport]:
        """A form's exports, newest first, older than `before_id`; those with personal answers when `personal`."""
        mine = select(ResponseExport).where(
            col(ResponseExport.tenant_id) == self._tenant_id, col(ResponseExport.form_id) == form_id
        )
        if before_id is not None:
            mine = mine.where(col(ResponseExport.id) < before_id)
        if not personal:
            mine = mine.where(col(ResponseExport.sees_personal).is_(False))
        return (await self._session.scalars(mine.order_by(col(ResponseExport.id).desc()).limit(limit))).all()

    async def of_form(self, form_id: str, limit: int) -> Sequence[ResponseExport]:
        """Some exports of a form, finished or not."""
        mine = select(ResponseExport).where(
            col(ResponseExport.tenant_id) == self._tenant_id, col(ResponseExport.form_id) == form_id
        )
        return (await self._session.scalars(mine.order_by(col(ResponseExport.id)).limit(limit))).all()


class ResponseExportDirectory:
    """Exports whose time is over: needs an unscoped unit."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def expired_in_any_tenant(self, now: datetime, limit: int) -> Sequence[tuple[str, str]]:
        """Up to `limit` exports, as tenant and id."""
        statement = (
            select(col(ResponseExport.tenant_id), col(ResponseExport.id))
            .where(col(ResponseExport.expires_at) <= now)
            .order_by(col(ResponseExport.tenant_id), col(ResponseExport.id))
            .limit(limit)
        )
        return [(tenant_id, export_id) for tenant_id, export_id in (await self._session.execute(statement)).all()]
