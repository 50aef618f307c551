"""What starts jobs by the clock: the schedules of one tenant, and which of all are due."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, delete, func, select, text, tuple_
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from db.models.identity import Tenant
from db.models.jobs import Schedule
from db.repositories.upsert import upsert

# Spelled out, because a partial index is only used for a condition that the planner can read.
_IS_ENABLED = text("schedule.is_enabled")


class ScheduleRepository:
    """The schedules of one tenant."""

    def __init__(self, session: AsyncSession, tenant_id: str) -> None:
        self._session = session
        self._tenant_id = tenant_id
        self._mine = select(Schedule).where(col(Schedule.tenant_id) == tenant_id)

    async def add(self, row: Mapping[str, Any]) -> bool:
        """Store a schedule; False when the tenant has one of that name, by a racing transaction too."""
        insert = upsert(self._session, Schedule).values(tenant_id=self._tenant_id, **row)
        added = insert.on_conflict_do_nothing(index_elements=["tenant_id", "name"]).returning(col(Schedule.id))
        return await self._session.scalar(added) is not None

    async def find(self, schedule_id: str, *, for_update: bool = False) -> Schedule | None:
        statement = self._mine.where(col(Schedule.id) == schedule_id)
        return await self._session.scalar(statement.with_for_update() if for_update else statement)

    async def count(self) -> int:
        """How many there are."""
        mine = col(Schedule.tenant_id) == self._tenant_id
        return await self._session.scalar(select(func.count()).select_from(Schedule).where(mine)) or 0

    async def page(self, *, before_id: str | None, limit: int, kind: str | None = None) -> Sequence[Schedule]:
        """Schedules, newest first, older than `before_id`; of one kind if it is named."""
        statement = self._mine.order_by(col(Schedule.id).desc()).limit(limit)
        if kind is not None:
            statement = statement.where(col(Schedule.kind) == kind)
        if before_id is not None:
            statement = statement.where(col(Schedule.id) < before_id)
        return (await self._session.scalars(statement)).all()

    async def delete(self, schedule_id: str) -> bool:
        """Whether it was there to be removed."""
        mine = col(Schedule.tenant_id) == self._tenant_id, col(Schedule.id) == schedule_id
        removed = await self._session.scalar(delete(Schedule).where(*mine).returning(col(Schedule.id)))
        return removed is not None


def due_schedules(
    connection: Connection, kinds: Collection[str], now: datetime, after: tuple[datetime, str, str] | None, limit: int
) -> list[tuple[datetime, str, str]]:
    """The next due schedules of these kinds over all active tenants: when they were due, tenant and id, in that order,
    `after` one of them."""
    key = col(Schedule.next_run_at), col(Schedule.tenant_id), col(Schedule.id)
    statement = (
        select(*key)
        .outerjoin(Tenant, col(Tenant.id) == col(Schedule.tenant_id))
        .where(_IS_ENABLED, col(Schedule.next_run_at) <= now, col(Schedule.kind).in_(kinds))
        .where(func.coalesce(col(Tenant.status), "active") == "active")
        .order_by(*key)
        .limit(limit)
    )
    if after is not None:
        statement = statement.where(tuple_(*key) > after)
    return [(due_at, tenant_id, schedule_id) for due_at, tenant_id, schedule_id in connection.execute(statement)]
