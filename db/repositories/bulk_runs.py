"""Queries for jobs that change many responses."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from db.models.response_life import BulkRun
from db.repositories.upsert import upsert


class BulkRunRepository:
    """The runs of one tenant."""

    def __init__(self, session: AsyncSession, tenant_id: str) -> None:
        self._session = session
        self._tenant_id = tenant_id

    async def begin(self, job_id: str, total: int, tally: Mapping[str, int]) -> None:
        """Note that the job begins, unless it has begun."""
        row = {"tenant_id": self._tenant_id, "job_id": job_id, "after_id": "", "total": total}
        statement = upsert(self._session, BulkRun).values(**row, tally=dict(tally), errors=[])
        await self._session.execute(statement.on_conflict_do_nothing(index_elements=["tenant_id", "job_id"]))

    async def find(self, job_id: str, *, for_update: bool = False) -> BulkRun | None:
        statement = select(BulkRun).where(col(BulkRun.tenant_id) == self._tenant_id, col(BulkRun.job_id) == job_id)
        return await self._session.scalar(statement.with_for_update() if for_update else statement)

    async def end(self, job_id: str) -> None:
        """Forget the run."""
        statement = delete(BulkRun).where(col(BulkRun.tenant_id) == self._tenant_id, col(BulkRun.job_id) == job_id)
        await self._session.execute(statement, execution_options={"synchronize_session": False})


def advanced(run: BulkRun, after_id: str, outcomes: Mapping[str, int], errors: list[dict[str, Any]]) -> None:
    """Note one batch more."""
    run.after_id = after_id
    run.tally = {name: count + outcomes.get(name, 0) for name, count in run.tally.items()}
    run.errors = [*run.errors, *errors]
