"""Ends attempts durably, many in one transaction, each with its effect or not at all."""

import asyncio
from collections.abc import Sequence
from typing import Final

from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from db.group_commit import GroupCommit
from db.repositories.job_queue import JobQueueRepository
from db.session import Database, UnitOfWork
from eventing.events.envelope import Origin
from eventing.events.jobs import JobFailed
from eventing.jobs.settlement import Settlement
from eventing.outbox import record

_EFFECT_S: Final = 15.0


class EffectFailed(Exception):
    """The effect of an outcome raised; neither it nor the outcome was written."""


class Completions:
    """The ends of attempts of one runner, group-committed."""

    def __init__(self, database: Database) -> None:
        self._database = database
        # Ends and renewals lock the same rows, each in an order of its own: PostgreSQL would find deadlocks.
        self.turn = asyncio.Lock()
        self._group: GroupCommit[Settlement, UnitOfWork | None] = GroupCommit(self._write)

    async def add(self, settlement: Settlement) -> None:
        """Return when the end and its effect are durable, or the job is another worker's by now.

        Raises EffectFailed, DatabaseUnavailable (try again), or DBAPIError when the outcome itself cannot be stored.
        """
        unit = await self._group.add(settlement)
        if unit is not None:
            unit.committed()

    async def _write(self, settlements: Sequence[Settlement]) -> Sequence[UnitOfWork | Exception | None]:
        database = self._database
        async with self.turn, database.connect(database.writer) as connection:
            await database.scope(connection, None)
            async with AsyncSession(bind=connection, expire_on_commit=False) as session:
                plain = [each.end for each in settlements if not _writes_more(each)]
                await JobQueueRepository(session).end_many(plain)
                return [await self._with_effect(session, each) if _writes_more(each) else None for each in settlements]

    async def _with_effect(self, session: AsyncSession, settlement: Settlement) -> UnitOfWork | Exception:
        unit = UnitOfWork(self._database, session, None)
        try:
            async with asyncio.timeout(_EFFECT_S), session.begin_nested():
                await unit.enter_tenant(settlement.end.tenant_id)
                if await JobQueueRepository(session).end(settlement.end):
                    await _take_effect(unit, settlement)
                    await unit.seal()
        except Exception as error:
            if isinstance(error, DBAPIError) and error.connection_invalidated:
                raise
            failure = EffectFailed(type(error).__name__)
            failure.__cause__ = error
            return failure
        return unit


def _writes_more(settlement: Settlement) -> bool:
    return settlement.effect is not None or settlement.failed_kind is not None


async def _take_effect(unit: UnitOfWork, settlement: Settlement) -> None:
    if settlement.effect is not None:
        await settlement.effect(unit)
    if settlement.failed_kind is not None:
        end = settlement.end
        fact = JobFailed(job_id=end.id, kind=settlement.failed_kind, reason=end.error or "")
        record(unit, fact, actor="system:jobs", origin=Origin())
