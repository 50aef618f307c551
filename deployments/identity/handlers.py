"""Work of identity that nobody waits for: letters for forgotten passwords, and the daily clean-up."""

from typing import Final

from db.session import Database
from deployments.identity.letters import Letters
from deployments.identity.service import password_reset, pruning
from deployments.kit.vault import Vault
from eventing.jobs import Done, JobKind, JobRun

_LEFT_S: Final = 30.0


class WriteResetLetter:
    """Looks for the account that somebody named and orders its letter; whoever asked does not learn which."""

    def __init__(self, database: Database, letters: Letters) -> None:
        self._database = database
        self._letters = letters

    async def run(self, job: JobRun) -> Done:
        """Order the letter once, if there is such an account."""
        tenant_id = password_reset.tenant_in(job.payload)
        if tenant_id is not None:
            async with self._database.write(tenant_id) as unit:
                await password_reset.write(unit, self._letters, job.payload, job.id)
        return Done()


class Prune:
    """Forgets expired credentials and orders itself for the next day."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def run(self, job: JobRun) -> Done:
        """Remove what has expired, as much as the time allows; the rest is there tomorrow."""
        # First, so that a failure today does not end the row of days.
        await pruning.order(self._database, tomorrow=True)
        return Done(result=dict(await pruning.prune(self._database, lambda: job.remaining < _LEFT_S)))


def job_kinds(database: Database, vault: Vault, public_url: str) -> tuple[JobKind, ...]:
    """The jobs of this context."""
    write = WriteResetLetter(database, Letters(vault, public_url))
    return (
        JobKind(password_reset.RESET, "high", write.run, max_attempts=8, delays=(1.0, 5.0, 15.0, 60.0)),
        JobKind(pruning.PRUNE, "default", Prune(database).run),
    )
