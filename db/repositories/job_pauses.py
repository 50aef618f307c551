"""What is paused: queues and kinds of jobs, for one tenant or, by the platform's own tenant, for all."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from db.models.jobs import JobPause
from db.repositories.upsert import upsert


class JobPauseRepository:
    """The pauses that one tenant has made."""

    def __init__(self, session: AsyncSession, tenant_id: str) -> None:
        self._session = session
        self._tenant_id = tenant_id

    async def all(self) -> Sequence[JobPause]:
        """Every pause, by queue and kind."""
        mine = select(JobPause).where(col(JobPause.tenant_id) == self._tenant_id)
        return (await self._session.scalars(mine.order_by(col(JobPause.queue), col(JobPause.kind)))).all()

    async def add(self, queue: str, kind: str, *, reason: str, by: str, at: datetime) -> bool:
        """Pause a kind of a queue, all of it for ''; False when it is paused already."""
        row = {"queue": queue, "kind": kind, "reason": reason, "paused_by": by, "paused_at": at}
        insert = upsert(self._session, JobPause).values(tenant_id=self._tenant_id, **row).on_conflict_do_nothing()
        return await self._session.scalar(insert.returning(col(JobPause.queue))) is not None

    async def remove(self, queue: str, kind: str) -> bool:
        """Whether there was such a pause."""
        mine = col(JobPause.tenant_id) == self._tenant_id
        gone = delete(JobPause).where(mine, col(JobPause.queue) == queue, col(JobPause.kind) == kind)
        return await self._session.scalar(gone.returning(col(JobPause.queue))) is not None
