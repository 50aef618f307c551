"""The jobs of one tenant: add, find, list, report."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import and_, func, insert, or_, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from db.models.jobs import Job
from db.repositories.job_claims import QueueDepth
from db.repositories.upsert import upsert

_COUNTED: Final = 10_000
_CLOCKS_DIFFER: Final = timedelta(minutes=10)
_IS_QUEUED = text("job.state = 'queued'")
_IS_RUNNING = text("job.state = 'running'")
_IS_ACTIVE = text("job.state IN ('queued', 'running')")


class JobRepository:
    """The jobs of one tenant."""

    def __init__(self, session: AsyncSession, tenant_id: str) -> None:
        self._session = session
        self._tenant_id = tenant_id
        self._mine = select(Job).where(col(Job.tenant_id) == tenant_id)

    async def add(self, row: Mapping[str, Any]) -> str:
        """Store a queued job; the id of the job, which is that of an earlier one with one of its keys."""
        statement = upsert(self._session, Job).values(tenant_id=self._tenant_id, **row)
        unique_key, active_key = row["unique_key"], row["active_key"]
        if unique_key is None and active_key is None:
            await self._session.execute(statement)
            return str(row["id"])
        # Not caught as an IntegrityError, which would end the caller's transaction on PostgreSQL.
        unless_there = statement.on_conflict_do_nothing().returning(col(Job.id))
        has_key = or_(
            and_(col(Job.unique_key) == unique_key, col(Job.unique_key).is_not(None)),
            and_(col(Job.active_key) == active_key, col(Job.active_key).is_not(None), _IS_ACTIVE),
        )
        there = select(col(Job.id)).where(col(Job.tenant_id) == self._tenant_id, has_key).limit(1)
        found: Any = None
        while found is None:
            # The job that was in the way may end before it is looked for; then there is room.
            found = await self._session.scalar(unless_there) or await self._session.scalar(there)
        return str(found)

    async def add_all(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Store queued jobs that have no keys."""
        connection = await self._session.connection()
        await connection.execute(insert(Job), [{"tenant_id": self._tenant_id, **row} for row in rows])

    async def find(self, job_id: str, *, for_update: bool = False) -> Job | None:
        statement = self._mine.where(col(Job.id) == job_id)
        return await self._session.scalar(statement.with_for_update() if for_update else statement)

    async def running(self, now: datetime) -> int:
        """How many jobs run now, with a worker that is alive."""
        alive = col(Job.tenant_id) == self._tenant_id, col(Job.lease_until) >= now, _IS_RUNNING
        return await self._session.scalar(select(func.count()).select_from(Job).where(*alive)) or 0

    async def has_unfinished(self, kind: str) -> bool:
        """Whether a job of the kind is queued or running."""
        mine = col(Job.tenant_id) == self._tenant_id, col(Job.kind) == kind, _IS_ACTIVE
        return await self._session.scalar(select(col(Job.id)).where(*mine).limit(1)) is not None

    async def depth(self, queue: str, now: datetime) -> QueueDepth:
        """What is due of the tenant's in the queue, counted up to 10,000, held or not."""
        of_queue = col(Job.tenant_id) == self._tenant_id, col(Job.queue) == queue
        due = select(col(Job.run_at)).where(*of_queue, _IS_QUEUED, col(Job.run_at) <= now)
        few = due.limit(_COUNTED).subquery()
        waiting, oldest = (await self._session.execute(select(func.count(), func.min(few.c.run_at)))).one()
        running = await self._session.scalar(select(func.count()).select_from(Job).where(*of_queue, _IS_RUNNING))
        return QueueDepth(waiting=waiting, running=running or 0, oldest=oldest)

    async def page(
        self,
        *,
        kind: str | None,
        state: str | None,
        queue: str | None,
        created_since: datetime | None,
        before_id: str | None,
        limit: int,
    ) -> Sequence[Job]:
        """Jobs, newest first, older than `before_id`."""
        statement = self._mine.order_by(col(Job.id).desc()).limit(limit)
        if kind is not None:
            statement = statement.where(col(Job.kind) == kind)
        if state is not None:
            statement = statement.where(col(Job.state) == state)
        if queue is not None:
            statement = statement.where(col(Job.queue) == queue)
        if created_since is not None:
            # Ids are made in the order of time: so the search ends there instead of looking at all that is older.
            first = int((created_since - _CLOCKS_DIFFER).timestamp() * 1000)
            statement = statement.where(col(Job.created_at) >= created_since, col(Job.id) >= f"job_{first:012x}")
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
