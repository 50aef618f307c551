"""Jobs of identity."""

from cryptography.fernet import InvalidToken

from db.session import Database
from deployments.identity.codes import OneTimeCodes
from deployments.identity.service import code_logins
from deployments.identity.service.code_logins import SEND_CODE, CodeOrder
from deployments.identity.settings import IdentitySettings
from deployments.kit.vault import Vault
from eventing.jobs import GiveUp, JobKind, JobRun


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
