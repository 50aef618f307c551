"""Starts jobs by the clock, in one process at a time; two would start nothing twice."""

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
from eventing.duty import Duty

DUTY: Final = "schedules"

_POLL_S: Final = 1.0
_LEASE_S: Final = 15.0
_AT_ONCE: Final = 100

_log = structlog.get_logger(__name__)


class Scheduler(Duty):
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
        super().__init__(database, DUTY, poll_s=poll_s, lease_s=lease_s)
        self._registry = {each.kind: each for each in schedulable}
        self._clock = clock

    async def round(self) -> bool:
        """Start what is due; the rest is due later."""
        await self.fire_due()
        return False

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
