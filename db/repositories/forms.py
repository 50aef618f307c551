"""Queries for forms and their published versions."""

from collections.abc import Collection, Sequence

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from db.models.forms import Form, FormCounter, FormVersion


class FormRepository:
    """The forms of one tenant that are not in the trash."""

    def __init__(self, session: AsyncSession, tenant_id: str) -> None:
        self._session = session
        self._tenant_id = tenant_id
        self._mine = select(Form).where(col(Form.tenant_id) == tenant_id, col(Form.deleted_at).is_(None))

    async def add(self, form: Form) -> None:
        """Store a new form with its counter. Raises IntegrityError when the slug is taken."""
        self._session.add(form)
        await self._session.flush()
        self._session.add(FormCounter(tenant_id=self._tenant_id, form_id=form.id, responses=0))

    async def find(self, form_id: str, *, for_update: bool = False) -> Form | None:
        statement = self._mine.where(col(Form.id) == form_id)
        return await self._session.scalar(statement.with_for_update() if for_update else statement)

    async def find_by_slug(self, slug: str) -> Form | None:
        return await self._session.scalar(self._mine.where(col(Form.slug) == slug))

    async def count(self) -> int:
        """How many forms the tenant has."""
        return await self._session.scalar(select(func.count()).select_from(self._mine.subquery())) or 0

    async def page(self, after_id: str | None, limit: int, only: Collection[str] | None = None) -> Sequence[Form]:
        """Forms, newest first, older than `after_id`; those with the ids `only`, when given."""
        statement = self._mine.order_by(col(Form.id).desc()).limit(limit)
        if only is not None:
            statement = statement.where(col(Form.id).in_(only))
        if after_id is not None:
            statement = statement.where(col(Form.id) < after_id)
        return (await self._session.scalars(statement)).all()

    def add_version(self, version: FormVersion) -> None:
        self._session.add(version)

    async def find_version(self, form_id: str, version: int) -> FormVersion | None:
        return await self._session.get(FormVersion, (self._tenant_id, form_id, version))

    async def versions(self, form_id: str) -> Sequence[FormVersion]:
        """Every published version, oldest first."""
        statement = (
            select(FormVersion)
            .where(col(FormVersion.tenant_id) == self._tenant_id, col(FormVersion.form_id) == form_id)
            .order_by(col(FormVersion.version))
        )
        return (await self._session.scalars(statement)).all()
