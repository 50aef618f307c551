"""Queries on files that were made of responses, one kind of them at a time: exports, or reports."""

from collections.abc import Sequence
from datetime import datetime
from typing import Generic, TypeVar

from sqlalchemy import or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from db.models.made_files import MadeFile

Made = TypeVar("Made", bound=MadeFile)


class MadeFileRepository(Generic[Made]):
    """The files of one tenant."""

    def __init__(self, session: AsyncSession, tenant_id: str, kind: type[Made]) -> None:
        self._session = session
        self._tenant_id = tenant_id
        self._kind = kind
        self._mine = select(kind).where(col(kind.tenant_id) == tenant_id)

    def add(self, row: Made) -> None:
        """Add a file that was ordered."""
        self._session.add(row)

    async def find(self, file_id: str, *, for_update: bool = False) -> Made | None:
        """The file; with `for_update` as last committed, and nobody else changes it meanwhile."""
        return await self._session.get(
            self._kind, (self._tenant_id, file_id), with_for_update=for_update or None, populate_existing=for_update
        )

    async def delete(self, row: Made) -> None:
        """Forget a file."""
        await self._session.delete(row)

    async def page(
        self,
        form_id: str | None,
        before_id: str | None,
        limit: int,
        *,
        after: datetime | None = None,
        forms: frozenset[str] | None = None,
        personal_in: frozenset[str] | None = None,
    ) -> Sequence[Made]:
        """Files, newest first, older than `before_id`: those that are not over at `after`, of the forms `forms`, and of
        those with personal answers the ones of the forms `personal_in`; None stands for all."""
        found, kind = self._mine, self._kind
        if after is not None:
            found = found.where(col(kind.expires_at) > after)
        if form_id is not None:
            found = found.where(col(kind.form_id) == form_id)
        if forms is not None:
            found = found.where(col(kind.form_id).in_(sorted(forms)))
        if personal_in is not None:
            found = found.where(or_(col(kind.sees_personal).is_(False), col(kind.form_id).in_(sorted(personal_in))))
        if before_id is not None:
            found = found.where(col(kind.id) < before_id)
        return (await self._session.scalars(found.order_by(col(kind.id).desc()).limit(limit))).all()

    async def of_form(self, form_id: str, limit: int) -> Sequence[Made]:
        """Some files of a form, finished or not."""
        found = self._mine.where(col(self._kind.form_id) == form_id)
        return (await self._session.scalars(found.order_by(col(self._kind.id)).limit(limit))).all()


class MadeFileDirectory:
    """Files whose time is over: needs an unscoped unit."""

    def __init__(self, session: AsyncSession, kind: type[MadeFile]) -> None:
        self._session = session
        self._kind = kind

    async def expired_in_any_tenant(self, now: datetime, limit: int) -> Sequence[tuple[str, str]]:
        """Up to `limit` files, as tenant and id."""
        tenant_id, file_id = col(self._kind.tenant_id), col(self._kind.id)
        statement = (
            select(tenant_id, file_id)
            .where(col(self._kind.expires_at) <= now)
            .order_by(tenant_id, file_id)
            .limit(limit)
        )
        return [(tenant, file) for tenant, file in (await self._session.execute(statement)).all()]
