"""Queries on reports."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from db.models.reports import Report


class ReportRepository:
    """The reports of one tenant."""

    def __init__(self, session: AsyncSession, tenant_id: str) -> None:
        self._session = session
        self._tenant_id = tenant_id
        self._mine = select(Report).where(col(Report.tenant_id) == tenant_id)

    def add(self, row: Report) -> None:
        """Add a report that was ordered."""
        self._session.add(row)

    async def find(self, report_id: str, *, for_update: bool = False) -> Report | None:
        """The report; with `for_update` as last committed, and nobody else changes it meanwhile."""
        return await self._session.get(
            Report, (self._tenant_id, report_id), with_for_update=for_update or None, populate_existing=for_update
        )

    async def delete(self, row: Report) -> None:
        """Forget a report."""
        await self._session.delete(row)

    async def page(
        self,
        form_id: str | None,
        before_id: str | None,
        limit: int,
        *,
        now: datetime,
        forms: frozenset[str] | None,
        personal_in: frozenset[str] | None,
    ) -> Sequence[Report]:
        """Reports that are not over, newest first, older than `before_id`: of the forms `forms`, and of those with
        personal answers the ones of the forms `personal_in`; None stands for all."""
        found = self._mine.where(col(Report.expires_at) > now)
        if form_id is not None:
            found = found.where(col(Report.form_id) == form_id)
        if forms is not None:
            found = found.where(col(Report.form_id).in_(sorted(forms)))
        if personal_in is not None:
            seen = col(Report.form_id).in_(sorted(personal_in))
            found = found.where(or_(col(Report.sees_personal).is_(False), seen))
        if before_id is not None:
            found = found.where(col(Report.id) < before_id)
        return (await self._session.scalars(found.order_by(col(Report.id).desc()).limit(limit))).all()

    async def of_form(self, form_id: str, limit: int) -> Sequence[Report]:
        """Some reports of a form, finished or not."""
        found = self._mine.where(col(Report.form_id) == form_id)
        return (await self._session.scalars(found.order_by(col(Report.id)).limit(limit))).all()


class ReportDirectory:
    """Reports whose time is over: needs an unscoped unit."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def expired_in_any_tenant(self, now: datetime, limit: int) -> Sequence[tuple[str, str]]:
        """Up to `limit` reports, as tenant and id."""
        statement = (
            select(col(Report.tenant_id), col(Report.id))
            .where(col(Report.expires_at) <= now)
            .order_by(col(Report.tenant_id), col(Report.id))
            .limit(limit)
        )
        return [(tenant_id, report_id) for tenant_id, report_id in (await self._session.execute(statement)).all()]
