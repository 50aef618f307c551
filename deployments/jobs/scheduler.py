"""Starts jobs by the clock, in one process at a time; two would start nothing twice."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from typing import Final

import structlog

from db.repositories.schedules import due_schedules
from db.session import Database
from db.types import utc_now
from deployments.jobs import schedules
from deployments.jobs.contracts import Schedulable
from eventing.leadership import Leadership
from eventing.pace import Pace

DUTY: Final = "schedules"

_POLL_S: Final = 1.0
_LEASE_S: Final = 15.0
_STOP_S: Final = 5.0
_AT_ONCE: Final = 100

_log = structlog.get_logger(__name__)


class Scheduler:
    """Looks once a second for schedules that are due, over all active tenants."""

    def __init__(
        self,
        database: Database,
        schedulable: Sequence[Schedulable],
        *,
        clock: Callable[[], datetime] = utc_now,
        poll_s: float = _POLL_S,
        lease_s: float = _LEASE_S,
    ) -> None:
        self._database = database
        self._registry = {each.kind: each for each in schedulable}
        self._clock = clock
        self._leadership = Leadership(database, DUTY, lease_s=lease_s)
        self._pace = Pace(poll_s)
        self._finished = asyncio.Event()
        self._finished.set()

    async def run(self) -> None:
        """Start what is due until `stop`. Keeps trying, with back-off, while the database is away."""
        self._finished.clear()
        try:
            while not self._pace.is_stopped:
                try:
                    if await self._leadership.acquire():
                        await self.fire_due()
                except Exception as error:  # noqa: BLE001 - a loop that ends is worse than one that tries again
                    _log.warning("schedules wait", error=str(error) or type(error).__name__)
                    await self._pace.back_off()
                else:
                    await self._pace.rest()
        finally:
            self._finished.set()

    async def stop(self, timeout_s: float = _STOP_S) -> None:
        """End `run` and let another process lead at once."""
        self._pace.stop()
        try:
            async with asyncio.timeout(timeout_s):
                await self._finished.wait()
            if self._leadership.is_held:
                await self._leadership.release()
        except Exception as error:  # noqa: BLE001 - the lease runs out by itself
            _log.warning("lease of schedules not released", error=str(error) or type(error).__name__)

    async def fire_due(self) -> int:
        """Start every job that is due; how many. A schedule that cannot be dealt with does not stop the others."""
        now = self._clock()
        after: tuple[datetime, str, str] | None = None
        fired = 0
        while True:
            find = partial(due_schedules, kinds=list(self._registry), now=now, after=after, limit=_AT_ONCE)
            found = await self._database.view(find)
            for _, tenant_id, schedule_id in found:
                try:
                    async with self._database.write(tenant_id) as unit:
                        fired += await schedules.fire(unit, self._registry, schedule_id, now)
                except Exception as error:  # noqa: BLE001 - of this schedule only
                    _log.error("schedule cannot be started", tenant=tenant_id, schedule=schedule_id, exc_info=error)
            if len(found) < _AT_ONCE:
                return fired
            after = found[-1]
