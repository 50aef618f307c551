"""Work of identity that nobody waits for: codes, letters for forgotten passwords, and the daily clean-up."""

from typing import Final

from cryptography.fernet import InvalidToken

from db.session import Database
from deployments.identity.codes import OneTimeCodes
from deployments.identity.letters import Letters
from deployments.identity.service import code_logins, password_reset, pruning
from deployments.identity.service.code_logins import SEND_CODE, CodeOrder
from deployments.identity.settings import IdentitySettings
from deployments.kit.vault import Vault
from eventing.jobs import Done, GiveUp, JobKind, JobRun

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
    """Forgets expired credentials."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def run(self, job: JobRun) -> Done:
        """Remove what has expired, as much as the time allows; the rest is there tomorrow."""
        return Done(result=dict(await pruning.prune(self._database, lambda: job.remaining < _LEFT_S)))


class SendCode:
    """Finds out whether a code that somebody asked for has anywhere to go, where nobody can watch the clock."""

    def __init__(self, database: Database, settings: IdentitySettings, vault: Vault) -> None:
        self._database = database
        self._codes = OneTimeCodes(settings)
        self._vault = vault

    async def run(self, job: JobRun) -> None:
        """Make the code and order what carries it, both in one transaction, so a repeated run changes nothing."""
        try:
            order = CodeOrder.model_validate_json(self._vault.open(job.payload["sealed"]))
        except InvalidToken as error:
            raise GiveUp("the order was sealed with another secret key") from error
        async with self._database.write(order.tenant_id) as unit:
            await code_logins.deliver(unit, self._codes, self._vault, order)

    def kinds(self) -> tuple[JobKind, ...]:
        """The job that sends codes. They are wanted at once or not at all: they live for five minutes."""
        return (JobKind(SEND_CODE, "high", self.run, max_attempts=5, delays=(1.0, 5.0, 20.0, 60.0)),)


def job_kinds(database: Database, settings: IdentitySettings, vault: Vault) -> tuple[JobKind, ...]:
    """The jobs of this context."""
    write = WriteResetLetter(database, Letters(vault, settings.public_url))
    return (
        JobKind(password_reset.RESET, "high", write.run, max_attempts=8, delays=(1.0, 5.0, 15.0, 60.0)),
        JobKind(pruning.PRUNE, "default", Prune(database).run),
        *SendCode(database, settings, vault).kinds(),
    )
