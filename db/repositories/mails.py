"""Queries for mails."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import func, insert, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

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

    async def count_since(self, template: str, recipient: str, since: datetime) -> int:
        """How many mails of a template were asked for to one address since then."""
        statement = (
            select(func.count())
            .select_from(Mail)
            .where(
                col(Mail.tenant_id) == self._tenant_id,
                col(Mail.recipient) == recipient,
                col(Mail.created_at) >= since,
                col(Mail.template) == template,
            )
        )
        return await self._session.scalar(statement) or 0
