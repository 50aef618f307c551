"""Queries on addresses that get no more mail."""

from collections.abc import Collection, Sequence

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from db.models.notifications import MailSuppression
from db.repositories.upsert import upsert


class MailSuppressionRepository:
    """The suppressed addresses of one tenant; addresses are in lower case."""

    def __init__(self, session: AsyncSession, tenant_id: str) -> None:
        self._session = session
        self._tenant_id = tenant_id
        self._mine = select(MailSuppression).where(col(MailSuppression.tenant_id) == tenant_id)

    async def add(self, suppression: MailSuppression) -> bool:
        """Whether it was added: the address of an earlier one keeps its reason."""
        statement = upsert(self._session, MailSuppression).values(suppression.model_dump())
        unless_there = statement.on_conflict_do_nothing(index_elements=["tenant_id", "address"])
        return (await self._session.execute(unless_there.returning(col(MailSuppression.id)))).first() is not None

    async def find_address(self, address: str) -> MailSuppression | None:
        return await self._session.scalar(self._mine.where(col(MailSuppression.address) == address))

    async def among(self, addresses: Collection[str]) -> set[str]:
        """Those of the addresses that are suppressed."""
        if not addresses:
            return set()
        found = await self._session.scalars(self._mine.where(col(MailSuppression.address).in_(addresses)))
        return {row.address for row in found}

    async def page(
        self, *, reason: str | None, address: str | None, before_id: str | None, limit: int
    ) -> Sequence[MailSuppression]:
        """Suppressions, newest first, older than `before_id`."""
        statement = self._mine.order_by(col(MailSuppression.id).desc()).limit(limit)
        if reason is not None:
            statement = statement.where(col(MailSuppression.reason) == reason)
        if address is not None:
            statement = statement.where(col(MailSuppression.address) == address)
        if before_id is not None:
            statement = statement.where(col(MailSuppression.id) < before_id)
        return (await self._session.scalars(statement)).all()

    async def remove(self, suppression_id: str) -> str | None:
        """Let mail go to the address again; the address, None when there was no such suppression."""
        mine = col(MailSuppression.tenant_id) == self._tenant_id, col(MailSuppression.id) == suppression_id
        removed = await self._session.execute(
            delete(MailSuppression).where(*mine).returning(col(MailSuppression.address))
        )
        return removed.scalar_one_or_none()
