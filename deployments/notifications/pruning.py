"""Once a day: mails that are old enough are forgotten, and mailings with them."""

from datetime import timedelta
from typing import Final

from db.repositories.mails import MailDirectory
from db.session import Database
from db.types import utc_now
from deployments.jobs.contracts import DAILY, Schedulable
from eventing.jobs import LOWEST, Done, JobKind, JobRun

PRUNE: Final = "mails.prune"
QUEUE: Final = "batch"
SCHEDULABLE: Final = Schedulable(
    PRUNE, "Forget mails whose time is over.", "platform:admin", QUEUE, priority=LOWEST, standing=DAILY
)

_AT_ONCE: Final = 500


class PruneMails:
    """Removes what was asked for longer ago than `keep`, a bounded number in each transaction."""

    def __init__(self, database: Database, keep: timedelta, *, at_once: int = _AT_ONCE) -> None:
        self._database = database
        self._keep = keep
        self._at_once = at_once

    async def run(self, job: JobRun) -> Done:
        """Remove everything that is due; run again it goes on."""
        before = utc_now() - self._keep
        removed, batch = 0, self._at_once
        while batch == self._at_once:
            async with self._database.unscoped_write() as unit:
                batch = await MailDirectory(unit.session).remove_in_any_tenant(before, self._at_once)
            removed += batch
            await job.progress(removed)
        async with self._database.unscoped_write() as unit:
            mailings = await MailDirectory(unit.session).remove_mailings_in_any_tenant(before)
        return Done({"mails": removed, "mailings": mailings})


def job_kinds(database: Database, keep: timedelta) -> tuple[JobKind, ...]:
    """The job of pruning. It must get done, so it is tried for days."""
    prune = PruneMails(database, keep)
    return (JobKind(PRUNE, QUEUE, prune.run, max_attempts=20, soft_limit_s=1_700.0, hard_limit_s=1_800.0),)
