"""Work of responses that nobody waits for: changes to many, and the daily clean-up."""

from typing import Final

from db.session import Database
from deployments.responses import pruning
from deployments.responses.bulk import BulkJob
from eventing.jobs import Done, JobKind, JobRun

_LEFT_S: Final = 30.0


class Prune:
    """Purges what is due."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def run(self, job: JobRun) -> Done:
        """Purge what is due, as much as the time allows; the rest is there tomorrow."""
        return Done(result=dict(await pruning.prune(self._database, lambda: job.remaining < _LEFT_S)))


def job_kinds(database: Database) -> tuple[JobKind, ...]:
    """The jobs of this context."""
    return (JobKind(pruning.PRUNE, "default", Prune(database).run), *BulkJob(database).kinds())
