"""Queries for mails."""

from collections.abc import Sequence

from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncSession

from db.models.notifications import Mail


class MailRepository:
    """The mails of one tenant."""

    def __init__(self, session: AsyncSession, tenant_id: str) -> None:
        self._session = session
        self._tenant_id = tenant_id

    async def add_all(self, mails: Sequence[Mail]) -> None:
        """Store new mails as one statement."""
        connection = await self._session.connection()
        await connection.execute(insert(Mail), [mail.model_dump() for mail in mails])

    async def find(self, mail_id: str) -> Mail | None:
        return await self._session.get(Mail, (self._tenant_id, mail_id))
