"""Queries on how a tenant words its mails, and how they present themselves."""

from collections.abc import Sequence

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from db.models.notifications import MailBranding, MailTemplate
from db.repositories.upsert import upsert


class MailTemplateRepository:
    """The own words and looks of one tenant."""

    def __init__(self, session: AsyncSession, tenant_id: str) -> None:
        self._session = session
        self._tenant_id = tenant_id
        self._mine = select(MailTemplate).where(col(MailTemplate.tenant_id) == tenant_id)

    async def named(self, name: str) -> Sequence[MailTemplate]:
        """The words for a mail, by language."""
        return (await self._session.scalars(self._mine.where(col(MailTemplate.name) == name))).all()

    async def all(self) -> Sequence[MailTemplate]:
        """All words there are, by name and language."""
        ordered = self._mine.order_by(col(MailTemplate.name), col(MailTemplate.language))
        return (await self._session.scalars(ordered)).all()

    async def put(self, template: MailTemplate) -> None:
        """Store the words in place of those there were."""
        row = template.model_dump()
        statement = upsert(self._session, MailTemplate).values(row)
        keys = ("tenant_id", "name", "language")
        changed = {name: value for name, value in row.items() if name not in keys}
        await self._session.execute(statement.on_conflict_do_update(index_elements=list(keys), set_=changed))

    async def remove(self, name: str, language: str) -> bool:
        """Forget the words; whether there were any."""
        mine = (
            col(MailTemplate.tenant_id) == self._tenant_id,
            col(MailTemplate.name) == name,
            col(MailTemplate.language) == language,
        )
        removed = await self._session.execute(delete(MailTemplate).where(*mine).returning(col(MailTemplate.name)))
        return removed.first() is not None

    async def branding(self) -> MailBranding | None:
        return await self._session.get(MailBranding, self._tenant_id)

    async def put_branding(self, branding: MailBranding) -> None:
        """Store the looks in place of those there were."""
        row = branding.model_dump()
        changed = {name: value for name, value in row.items() if name != "tenant_id"}
        statement = upsert(self._session, MailBranding).values(row)
        await self._session.execute(statement.on_conflict_do_update(index_elements=["tenant_id"], set_=changed))
