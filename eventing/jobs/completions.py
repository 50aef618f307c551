"""Ends attempts durably, many in one transaction, each with its effect or not at all."""

import asyncio
from collections import defaultdict
from collections.abc import Collection, Sequence
from contextlib import aclosing
from functools import partial
from typing import Final

from sqlalchemy.exc import DBAPIError

from db.group_commit import GroupCommit
from db.repositories.job_queue import end_held, end_many
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
        if not any(_writes_more(each) for each in settlements):
            async with self.turn:
                await self._database.transact(partial(end_many, ends=[each.end for each in settlements]))
            return [None] * len(settlements)
        try:
            async with self.turn:
                return await self._write_together(settlements)
        except EffectFailed as failure:
            if len(settlements) == 1:
                return [failure]
        # One of them spoils it for all, seldom enough: what each one does alone shows which.
        return [outcome for each in settlements for outcome in await self._write([each])]

    async def _write_together(self, settlements: Sequence[Settlement]) -> Sequence[UnitOfWork | None]:
        """Write all ends, then the effects of those that the worker still had, a tenant's with one another."""
        database = self._database
        outcomes: dict[int, UnitOfWork] = {}
        async with database.connect(database.writer) as connection:
            await database.scope(connection, None)
            held = await connection.run_sync(end_held, [each.end for each in settlements])
            for tenant_id, numbers in _by_tenant(settlements, held).items():
                async with aclosing(UnitOfWork(database, connection, None)) as unit:
                    # What one unit has to say after the commit it says for all of its tenant.
                    outcomes[numbers[0]] = unit
                    try:
                        await unit.enter_tenant(tenant_id)
                        for number in numbers:
                            async with asyncio.timeout(_EFFECT_S):
                                await _take_effect(unit, settlements[number])
                        await unit.seal()
                    except Exception as error:
                        if isinstance(error, DBAPIError) and error.connection_invalidated:
                            raise
                        raise EffectFailed(type(error).__name__) from error
        return [outcomes.get(number) for number in range(len(settlements))]


def _by_tenant(settlements: Sequence[Settlement], held: Collection[tuple[str, str]]) -> dict[str, list[int]]:
    """The settlements that write more than their end, by their place."""
    found: dict[str, list[int]] = defaultdict(list)
    for number, each in enumerate(settlements):
        if _writes_more(each) and (each.end.tenant_id, each.end.id) in held:
            found[each.end.tenant_id].append(number)
    return found


def _writes_more(settlement: Settlement) -> bool:
    return settlement.effect is not None or settlement.failed_kind is not None


async def _take_effect(unit: UnitOfWork, settlement: Settlement) -> None:
    if settlement.effect is not None:
        await settlement.effect(unit)
    if settlement.failed_kind is not None:
        end = settlement.end
        fact = JobFailed(job_id=end.id, kind=settlement.failed_kind, reason=end.error or "")
        record(unit, fact, actor="system:jobs", origin=Origin())
