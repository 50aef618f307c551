"""Queries for summaries of answers."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import delete, func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from db.models.generation import AnswerSummary


class AnswerSummaryRepository:
    """The summaries of one tenant."""

    def __init__(self, session: AsyncSession, tenant_id: str) -> None:
        self._session = session
        self._tenant_id = tenant_id
        self._mine = col(AnswerSummary.tenant_id) == tenant_id

    def add(self, summary: AnswerSummary) -> None:
        self._session.add(summary)

    async def find(self, summary_id: str, *, for_update: bool = False) -> AnswerSummary | None:
        return await self._session.get(AnswerSummary, (self._tenant_id, summary_id), with_for_update=for_update or None)

    async def made(self, form_id: str, now: datetime) -> Sequence[AnswerSummary]:
        """The summaries of a form's fields that were made and are not over, newest first."""
        mine = select(AnswerSummary).where(
            self._mine, col(AnswerSummary.form_id) == form_id, col(AnswerSummary.expires_at) > now
        )
        found = await self._session.scalars(mine.order_by(col(AnswerSummary.id).desc()))
        return [summary for summary in found if summary.result is not None]

    async def count(self) -> int:
        """How many there are."""
        return await self._session.scalar(select(func.count()).select_from(AnswerSummary).where(self._mine)) or 0

    async def delete(self, summary: AnswerSummary) -> None:
        await self._session.delete(summary)

    async def remove_expired(self, now: datetime) -> None:
        """Forget what is over."""
        await self._session.execute(delete(AnswerSummary).where(self._mine, col(AnswerSummary.expires_at) <= now))
