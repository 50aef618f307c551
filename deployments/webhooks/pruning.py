"""Once a day: deliveries that are old enough are forgotten, and lanes that lost their job get one."""

from datetime import timedelta
from typing import Final

from db.repositories.webhook_lanes import WebhookLaneDirectory
from db.repositories.webhooks import WebhookDirectory
from db.session import Database
from db.types import utc_now
from deployments.jobs.contracts import DAILY, Schedulable
from deployments.webhooks.service.lanes import STRANDED, wake
from eventing.jobs import LOWEST, Done, JobKind, JobRun

PRUNE: Final = "webhooks.prune"
QUEUE: Final = "batch"
SCHEDULABLE: Final = Schedulable(
    PRUNE, "Forget deliveries whose time is over.", "platform:admin", QUEUE, priority=LOWEST, standing=DAILY
)

_ACTOR: Final = "system:webhooks"
_AT_ONCE: Final = 500


class PruneDeliveries:
    """Removes what ended longer ago than `keep`, a bounded number in each transaction."""

    def __init__(self, database: Database, keep: timedelta, *, at_once: int = _AT_ONCE) -> None:
        self._database = database
        self._keep = keep
        self._at_once = at_once

    async def run(self, job: JobRun) -> Done:
        """Remove everything that is due; run again it goes on."""
        woken = await self._wake_stranded()
        before = utc_now() - self._keep
        removed, batch = 0, self._at_once
        while batch == self._at_once:
            async with self._database.unscoped_write() as unit:
                directory = WebhookDirectory(unit.session)
                keys = await directory.outlived_in_any_tenant(before, self._at_once)
                if keys:
                    await directory.remove_in_any_tenant(keys)
            batch = len(keys)
            removed += batch
            await job.progress(removed)
        return Done({"removed": removed, "woken": woken})

    async def _wake_stranded(self) -> int:
        async with self._database.unscoped_read() as unit:
            before = utc_now() - STRANDED
            stranded = await WebhookLaneDirectory(unit.session).stranded_in_any_tenant(before, self._at_once)
        for tenant_id, endpoint_id in stranded:
            async with self._database.write(tenant_id) as unit:
                await wake(unit, [endpoint_id], _ACTOR)
        return len(stranded)


def job_kinds(database: Database, keep: timedelta) -> tuple[JobKind, ...]:
    """The job of pruning. It must get done, so it is tried for days."""
    prune = PruneDeliveries(database, keep)
    return (JobKind(PRUNE, QUEUE, prune.run, max_attempts=20, soft_limit_s=1_700.0, hard_limit_s=1_800.0),)
