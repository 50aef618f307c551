"""Forgetting finished jobs, once a day."""

from functools import partial
from typing import Final

from db.repositories.job_pruning import remove_finished
from db.session import Database
from db.types import utc_now
from deployments.jobs.contracts import DAILY, Schedulable
from deployments.jobs.settings import JobsSettings
from eventing.jobs import LOWEST, Done, JobKind, JobRun

PRUNE: Final = "jobs.prune"
SCHEDULABLE: Final = Schedulable(
    PRUNE, "Remove finished jobs whose time is over.", "platform:admin", priority=LOWEST, standing=DAILY
)

_LEFT_S: Final = 30.0
_BATCH: Final = 1_000


class Prune:
    """Removes finished jobs with their results, those that failed later than the others."""

    def __init__(self, database: Database, settings: JobsSettings) -> None:
        self._database = database
        self._settings = settings

    async def run(self, job: JobRun) -> Done:
        """Remove what is over, a bounded batch in each transaction, as much as the time allows."""
        now = utc_now()
        before = {state: now - self._settings.kept(state) for state in ("succeeded", "cancelled", "failed")}
        removed = 0
        after = ("", "")
        while job.remaining > _LEFT_S:
            batch = await self._database.transact(partial(remove_finished, before=before, after=after, limit=_BATCH))
            removed += batch.removed
            await job.progress(removed)
            if batch.last is None:
                break
            after = batch.last
        return Done({"removed": removed})


def job_kinds(database: Database, settings: JobsSettings) -> tuple[JobKind, ...]:
    """The jobs of this context."""
    return (JobKind(PRUNE, "default", Prune(database, settings).run),)
