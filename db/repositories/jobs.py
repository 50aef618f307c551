"""The jobs of one tenant: add, find, list, report."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import func, insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from db.models.jobs import Job
from db.repositories.upsert import upsert

_IS_RUNNING = text("job.state = 'running'")


class JobRepository:
    """The jobs of one tenant."""

    def __init__(self, session: AsyncSession, tenant_id: str) -> None:
        self._session = session
        self._tenant_id = tenant_id
        self._mine = select(Job).where(col(Job.tenant_id) == tenant_id)

    async def add(self, row: Mapping[str, Any]) -> str:
        """Store a queued job; the id of the job, which is that of an earlier one with the same unique key."""
        statement = upsert(self._session, Job).values(tenant_id=self._tenant_id, **row)
        if row["unique_key"] is None:
            await self._session.execute(statement)
            return str(row["id"])
        # Not caught as an IntegrityError, which would end the caller's transaction on PostgreSQL.
        unless_there = statement.on_conflict_do_nothing(
            index_elements=["tenant_id", "unique_key"], index_where=text("unique_key IS NOT NULL")
        )
        added = await self._session.scalar(unless_there.returning(col(Job.id)))
        if added is not None:
            return str(added)
        found = await self._session.scalar(
            select(col(Job.id)).where(col(Job.tenant_id) == self._tenant_id, col(Job.unique_key) == row["unique_key"])
        )
        return str(found)

    async def add_all(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Store queued jobs that have no unique key."""
        connection = await self._session.connection()
        await connection.execute(insert(Job), [{"tenant_id": self._tenant_id, **row} for row in rows])

    async def find(self, job_id: str, *, for_update: bool = False) -> Job | None:
        statement = self._mine.where(col(Job.id) == job_id)
        return await self._session.scalar(statement.with_for_update() if for_update else statement)

    async def running(self, now: datetime) -> int:
        """How many jobs run now, with a worker that is alive."""
        alive = col(Job.tenant_id) == self._tenant_id, col(Job.lease_until) >= now, _IS_RUNNING
        return await self._session.scalar(select(func.count()).select_from(Job).where(*alive)) or 0

    async def page(self, *, kind: str | None, state: str | None, before_id: str | None, limit: int) -> Sequence[Job]:
        """Jobs, newest first, older than `before_id`."""
        statement = self._mine.order_by(col(Job.id).desc()).limit(limit)
        if kind is not None:
            statement = statement.where(col(Job.kind) == kind)
        if state is not None:
            statement = statement.where(col(Job.state) == state)
        if before_id is not None:
            statement = statement.where(col(Job.id) < before_id)
        return (await self._session.scalars(statement)).all()

    async def report(self, job_id: str, worker: str, attempt: int, done: int, total: int | None) -> bool | None:
        """Store the progress of a running attempt; whether its end was asked for, None when it lost its lease."""
        statement = (
            update(Job)
            .where(
                col(Job.tenant_id) == self._tenant_id,
                col(Job.id) == job_id,
                col(Job.worker) == worker,
                col(Job.attempt) == attempt,
                _IS_RUNNING,
            )
            .values(progress_done=done, progress_total=total)
            .returning(col(Job.cancel_requested))
            .execution_options(synchronize_session=False)
        )
        return await self._session.scalar(statement)
