"""Queries for mails."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import delete, exists, func, insert, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from db.models.notifications import Mail, Mailing


class MailRepository:
    """The mails of one tenant."""

    def __init__(self, session: AsyncSession, tenant_id: str) -> None:
        self._session = session
        self._tenant_id = tenant_id

    async def add_all(self, mails: Sequence[Mail]) -> None:
        """Store new mails as one statement."""
        connection = await self._session.connection()
        await connection.execute(insert(Mail), [mail.model_dump() for mail in mails])

    async def find(self, mail_id: str, *, for_update: bool = False) -> Mail | None:
        return await self._session.get(Mail, (self._tenant_id, mail_id), with_for_update=for_update or None)

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


class MailDirectory:
    """Mails of all tenants; needs an unscoped unit."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def remove_in_any_tenant(self, before: datetime, limit: int) -> int:
        """Delete up to `limit` of the mails that were asked for before a moment; how many there were."""
        oldest = (
            select(col(Mail.tenant_id), col(Mail.id))
            .where(col(Mail.created_at) < before)
            .order_by(col(Mail.created_at))
            .limit(limit)
        )
        keys = [(tenant_id, mail_id) for tenant_id, mail_id in await self._session.execute(oldest)]
        if keys:
            theirs = tuple_(col(Mail.tenant_id), col(Mail.id)).in_(keys)
            await (await self._session.connection()).execute(delete(Mail).where(theirs))
        return len(keys)

    async def remove_mailings_in_any_tenant(self, before: datetime) -> int:
        """Delete the mailings of before a moment of which no mail is left; how many there were."""
        mails = exists().where(col(Mail.tenant_id) == col(Mailing.tenant_id), col(Mail.mailing_id) == col(Mailing.id))
        statement = delete(Mailing).where(col(Mailing.created_at) < before, ~mails)
        return (await (await self._session.connection()).execute(statement)).rowcount
