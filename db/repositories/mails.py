"""Queries for mails."""

from sqlalchemy.ext.asyncio import AsyncSession

from db.models.notifications import Mail


class MailRepository:
    """The mails of one tenant."""

    def __init__(self, session: AsyncSession, tenant_id: str) -> None:
        self._session = session
        self._tenant_id = tenant_id

    def add(self, mail: Mail) -> None:
        self._session.add(mail)

    async def find(self, mail_id: str) -> Mail | None:
        return await self._session.get(Mail, (self._tenant_id, mail_id))
