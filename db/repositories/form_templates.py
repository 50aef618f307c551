"""Queries for the templates that tenants keep."""

from collections.abc import Sequence

from sqlalchemy import delete, func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import load_only
from sqlmodel import col

from db.models.forms import FormTemplate


class FormTemplateRepository:
    """The templates of one tenant."""

    def __init__(self, session: AsyncSession, tenant_id: str) -> None:
        self._session = session
        self._tenant_id = tenant_id
        self._mine = select(FormTemplate).where(col(FormTemplate.tenant_id) == tenant_id)

    def add(self, template: FormTemplate) -> None:
        self._session.add(template)

    async def find(self, template_id: str) -> FormTemplate | None:
        return await self._session.get(FormTemplate, (self._tenant_id, template_id))

    async def page(self, after_id: str | None, limit: int) -> Sequence[FormTemplate]:
        """Templates, oldest first, without their definitions and settings, after the id `after_id`."""
        described = (FormTemplate.id, FormTemplate.title, FormTemplate.description, FormTemplate.created_at)
        statement = self._mine.options(load_only(*described)).order_by(col(FormTemplate.id)).limit(limit)  # type: ignore[arg-type]
        if after_id is not None:
            statement = statement.where(col(FormTemplate.id) > after_id)
        return (await self._session.scalars(statement)).all()

    async def count(self) -> int:
        """How many there are."""
        return await self._session.scalar(select(func.count()).select_from(self._mine.subquery())) or 0

    async def remove(self, template_id: str) -> bool:
        """Whether there was such a template."""
        statement = (
            delete(FormTemplate)
            .where(col(FormTemplate.tenant_id) == self._tenant_id, col(FormTemplate.id) == template_id)
            .returning(col(FormTemplate.id))
        )
        return (await self._session.execute(statement)).first() is not None
