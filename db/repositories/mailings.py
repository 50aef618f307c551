"""Queries on mails to many people."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from db.models.notifications import Mail, Mailing
from db.repositories.upsert import upsert

QUEUED: Final = "queued"
SENDING: Final = "sending"


class MailingRepository:
    """The mailings of one tenant."""

    def __init__(self, session: AsyncSession, tenant_id: str) -> None:
        self._session = session
        self._tenant_id = tenant_id
        self._mine = select(Mailing).where(col(Mailing.tenant_id) == tenant_id)

    async def add(self, mailing: Mailing) -> None:
        self._session.add(mailing)
        await self._session.flush()

    async def find(self, mailing_id: str, *, for_update: bool = False) -> Mailing | None:
        statement = self._mine.where(col(Mailing.id) == mailing_id)
        return await self._session.scalar(statement.with_for_update() if for_update else statement)

    async def page(self, form_id: str, *, before_id: str | None, limit: int) -> Sequence[Mailing]:
        """The mailings about a form, newest first, older than `before_id`."""
        statement = self._mine.where(col(Mailing.form_id) == form_id).order_by(col(Mailing.id).desc()).limit(limit)
        if before_id is not None:
            statement = statement.where(col(Mailing.id) < before_id)
        return (await self._session.scalars(statement)).all()

    async def add_recipients(self, mails: Sequence[Mapping[str, Any]]) -> None:
        """Store a mail for each recipient that the mailing does not have yet."""
        for start in range(0, len(mails), 200):
            rows = [{"tenant_id": self._tenant_id, **mail} for mail in mails[start : start + 200]]
            statement = upsert(self._session, Mail).values(rows)
            await self._session.execute(
                statement.on_conflict_do_nothing(index_elements=["tenant_id", "cause", "recipient"])
            )

    async def counts(self, mailing_ids: Sequence[str]) -> dict[str, dict[str, int]]:
        """How many mails of each mailing are in each state."""
        counted: dict[str, dict[str, int]] = {mailing_id: {} for mailing_id in mailing_ids}
        statement = (
            select(col(Mail.mailing_id), col(Mail.state), func.count())
            .where(col(Mail.tenant_id) == self._tenant_id, col(Mail.mailing_id).in_(mailing_ids))
            .group_by(col(Mail.mailing_id), col(Mail.state))
        )
        for mailing_id, state, number in await self._session.execute(statement):
            counted[str(mailing_id)][state] = number
        return counted

    async def recipients(
        self, mailing_id: str, *, state: str | None, after_id: str | None, limit: int
    ) -> Sequence[Mail]:
        """The mails of a mailing, in the order in which they are sent, after `after_id`."""
        statement = select(Mail).where(*self._of(mailing_id)).order_by(col(Mail.id)).limit(limit)
        if state is not None:
            statement = statement.where(col(Mail.state) == state)
        if after_id is not None:
            statement = statement.where(col(Mail.id) > after_id)
        return (await self._session.scalars(statement)).all()

    async def tried_since(self, since: datetime) -> int:
        """How many mails of mailings were begun since then."""
        statement = (
            select(func.count())
            .select_from(Mail)
            .where(col(Mail.tenant_id) == self._tenant_id, col(Mail.tried_at) >= since)
        )
        return await self._session.scalar(statement) or 0

    async def claim(self, mailing_id: str, now: datetime, limit: int) -> Sequence[Mail]:
        """Up to `limit` mails that are due, now being sent: nobody else gets them any more."""
        statement = (
            select(Mail)
            .where(*self._of(mailing_id), col(Mail.state) == QUEUED, col(Mail.due_at) <= now)
            .order_by(col(Mail.id))
            .limit(limit)
            .with_for_update(skip_locked=True)
        )
        mails = (await self._session.scalars(statement)).all()
        for mail in mails:
            mail.state, mail.tried_at, mail.attempts = SENDING, now, mail.attempts + 1
        return mails

    async def next_due(self, mailing_id: str) -> datetime | None:
        """When the next of the mails that still wait is due, None when none waits."""
        statement = select(func.min(col(Mail.due_at))).where(*self._of(mailing_id), col(Mail.state) == QUEUED)
        return await self._session.scalar(statement)

    async def settle(self, mail_id: str, **changes: Any) -> str | None:
        """Write what became of a mail that was being sent; its recipient, None when it is gone."""
        statement = update(Mail).where(col(Mail.tenant_id) == self._tenant_id, col(Mail.id) == mail_id)
        written = statement.values(**changes).returning(col(Mail.recipient))
        return await self._session.scalar(written.execution_options(synchronize_session=False))

    async def move(self, mailing_id: str, state: str, to: str, error: str | None) -> int:
        """Change the state of all mails that are in another one; how many there were."""
        statement = (
            update(Mail)
            .where(*self._of(mailing_id), col(Mail.state) == state)
            .values(state=to, error=error)
            .execution_options(synchronize_session=False)
        )
        return int((await self._session.execute(statement)).rowcount)  # type: ignore[attr-defined]

    def _of(self, mailing_id: str) -> tuple[Any, Any]:
        return col(Mail.tenant_id) == self._tenant_id, col(Mail.mailing_id) == mailing_id
