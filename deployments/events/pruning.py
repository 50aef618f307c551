"""Forgetting events and what was made of them, once a day."""

from collections.abc import Callable
from datetime import datetime
from typing import Final

from db.repositories.outlived_events import OutlivedEvents
from db.session import Database
from db.types import utc_now
from deployments.events.retention import MARGIN, Retention
from deployments.jobs.contracts import DAILY, Schedulable
from eventing.jobs import LOWEST, Done, JobKind, JobRun

PRUNE: Final = "events.prune"
SCHEDULABLE: Final = Schedulable(
    PRUNE, "Forget events whose time is over.", "platform:admin", priority=LOWEST, standing=DAILY
)

_BATCH: Final = 500
_LEFT_S: Final = 30.0


async def prune(database: Database, retention: Retention, is_over: Callable[[], bool]) -> dict[str, int]:
    """Remove what is past its retention, a bounded batch in each transaction, until nothing is left or it `is_over`;
    how much of each there was."""
    now = utc_now()
    remembered = now - retention.stream - MARGIN
    removed = {"processed": 0, "dead_letters": 0, "events": 0}
    batch = _BATCH
    while batch == _BATCH and not is_over():
        async with database.unscoped_write() as unit:
            batch = await OutlivedEvents(unit.session).remove_processed_in_any_tenant(remembered, _BATCH)
        removed["processed"] += batch
    batch = _BATCH
    while batch == _BATCH and not is_over():
        async with database.unscoped_write() as unit:
            outlived = OutlivedEvents(unit.session)
            batch = await outlived.remove_letters_in_any_tenant(now - retention.dead_letters, _BATCH)
        removed["dead_letters"] += batch
    removed["events"] = await _events(database, now - retention.log, is_over)
    return removed


class PruneEvents:
    """Removes what is due, day by day."""

    def __init__(self, database: Database, retention: Retention) -> None:
        self._database = database
        self._retention = retention

    async def run(self, job: JobRun) -> Done:
        """Remove what is due, as much as the time allows; the rest is there tomorrow."""
        return Done(dict(await prune(self._database, self._retention, lambda: job.remaining < _LEFT_S)))

    def kinds(self) -> tuple[JobKind, ...]:
        """The job."""
        return (JobKind(PRUNE, "default", self.run),)


async def _events(database: Database, before: datetime, is_over: Callable[[], bool]) -> int:
    removed = 0
    tenant_id: str | None = ""
    while tenant_id is not None and not is_over():
        async with database.unscoped_read() as unit:
            tenant_id = await OutlivedEvents(unit.session).next_tenant(tenant_id)
        after: str | None = "" if tenant_id is not None else None
        while tenant_id is not None and after is not None and not is_over():
            async with database.unscoped_write() as unit:
                outlived = OutlivedEvents(unit.session)
                count, after = await outlived.remove_events(tenant_id, after, before, _BATCH)
            removed += count
    return removed
