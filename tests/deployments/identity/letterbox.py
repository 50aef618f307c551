"""Letters that identity ordered: opened as notifications opens them, and the links in them."""

from dataclasses import dataclass

from sqlalchemy import select

from db.models.jobs import Job
from db.session import Database
from deployments.identity.handlers import job_kinds
from deployments.identity.settings import IdentitySettings
from deployments.notifications.contracts import SEND_LETTER, Letter
from eventing.jobs import JobRun
from tests.deployments.identity.conftest import VAULT

PUBLIC_URL = "https://forms.example"


@dataclass
class Letterbox:
    """What is on its way to people."""

    database: Database

    async def letters(self, tenant_id: str = "acme", template: str | None = None) -> list[Letter]:
        """The tenant's letters, oldest first."""
        jobs = await self.jobs(SEND_LETTER, tenant_id)
        found = [Letter.unsealed(VAULT, job.payload) for job in jobs]
        return [letter for letter in found if template in (None, letter.template)]

    async def token(self, template: str, tenant_id: str = "acme") -> str:
        """The token in the newest letter of the kind."""
        letter = (await self.letters(tenant_id, template))[-1]
        page, mark, token = letter.values["link"].partition("#token=")
        assert page.startswith("http")
        assert "?" not in page
        assert mark
        return token

    async def jobs(self, kind: str, tenant_id: str | None = None) -> list[Job]:
        """The jobs of a kind, oldest first."""
        query = select(Job).where(Job.kind == kind).order_by(Job.id)  # type: ignore[arg-type]
        if tenant_id is not None:
            query = query.where(Job.tenant_id == tenant_id)  # type: ignore[arg-type]
        async with self.database.unscoped_read() as unit:
            return list((await unit.session.scalars(query)).all())

    async def work(self, job: Job, *, attempt: int = 1) -> object:
        """Do a job of identity's, as the runner would."""

        async def report(_done: int, _total: int | None) -> bool:
            return False

        run = JobRun(
            tenant_id=job.tenant_id,
            id=job.id,
            payload=job.payload,
            attempt=attempt,
            created_by=job.created_by,
            soft_limit_s=60,
            report=report,
        )
        settings = IdentitySettings(signing_key="k" * 32, public_url=PUBLIC_URL)
        kinds = {kind.name: kind for kind in job_kinds(self.database, settings, VAULT)}
        return await kinds[job.kind].run(run)
