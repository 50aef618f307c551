"""The jobs that erase tenants: one for each, and one a day that finds those whose grace period is over."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Final, TypeAlias

from db.models.identity import Tenant
from db.repositories.jobs import JobRepository
from db.repositories.outbox import EventLogRepository
from db.repositories.tenant_data import TenantDataRepository, tables_to_erase
from db.repositories.tenant_exports import ErasureDirectory, ErasureReceiptRepository
from db.repositories.tenants import TenantRepository
from db.session import Database
from db.types import utc_now
from deployments.jobs.contracts import DAILY, Schedulable
from deployments.kit.objects import ObjectStore
from deployments.kit.principal import PLATFORM_TENANT
from deployments.tenancy.receipts import Signer
from deployments.tenancy.service import erasures
from eventing.errors import EventingError
from eventing.jobs import LOWEST, Done, GiveUp, JobKind, JobRun, Retry

ERASE_DUE: Final = "tenancy.erase_due"
SCHEDULABLE: Final = Schedulable(
    ERASE_DUE,
    "Erase tenants whose grace period is over.",
    "platform:admin",
    erasures.QUEUE,
    priority=LOWEST,
    standing=DAILY,
)

Purge: TypeAlias = Callable[[str], Awaitable[int]]
"""Removes a tenant's messages from the event stream; how many. Raises EventingError when it cannot be reached."""

_ACTOR: Final = "system:tenancy"
_ROWS: Final = 500
_TENANTS: Final = 100
# An upload may take a quarter of an hour to arrive, and may have been let in before the tenant was deleted.
_SETTLE_S: Final = 960.0
_AGAIN_S: Final = 5.0
_NATS_AWAY_S: Final = 30.0


class EraseTenant:
    """Erases one tenant, in small transactions. What one of them did stays done: run again, it goes on from there.

    Each transaction counts in the receipt what it deleted, and deletes within the tenant's row-level security.
    """

    def __init__(
        self,
        database: Database,
        objects: ObjectStore,
        signer: Signer,
        purge: Purge,
        *,
        settle_s: float = _SETTLE_S,
        rows: int = _ROWS,
    ) -> None:
        """`settle_s`: how long after its deletion calls and events of the tenant may still be under way."""
        self._database = database
        self._objects = objects
        self._signer = signer
        self._purge = purge
        self._settle = timedelta(seconds=settle_s)
        self._rows = rows

    async def run(self, job: JobRun) -> Done:
        """Erase everything, then sign the receipt. Raises Retry while something of the tenant is under way or NATS is
        away, GiveUp when the tenant is not to be erased."""
        tenant_id: str = job.payload["tenant_id"]
        tenant = await self._tenant(tenant_id)
        if tenant.erased_at is None:
            await self._require_quiet(tenant)
            async with self._database.unscoped_write() as unit:
                await erasures.begin(unit, tenant_id, job.payload["requested_by"])
            await self._erase(job, tenant_id)
            async with self._database.unscoped_write() as unit:
                await erasures.end(unit, tenant_id, self._signer)
        return Done({"receipt_url": f"/api/v1/erasure-receipts/{tenant_id}"})

    async def _tenant(self, tenant_id: str) -> Tenant:
        async with self._database.read(tenant_id) as unit:
            row = await TenantRepository(unit.session, tenant_id).get()
        if row is None or not erasures.is_due(row):
            raise GiveUp("The tenant is not there to be erased.")
        return row

    async def _require_quiet(self, tenant: Tenant) -> None:
        now = utc_now()
        ready = (tenant.deleted_at or now) + self._settle
        if now < ready:
            raise Retry("The tenant was deleted a moment ago.", after_s=(ready - now).total_seconds())
        async with self._database.read(tenant.id) as unit:
            if await JobRepository(unit.session, tenant.id).running(now):
                raise Retry("A job of the tenant is still running.", after_s=_AGAIN_S)
            # The relay would take them to the stream behind the purge.
            if await EventLogRepository(unit.session, tenant.id).has_unpublished():
                raise Retry("Events of the tenant are still to be published.", after_s=_AGAIN_S)

    async def _erase(self, job: JobRun, tenant_id: str) -> None:
        # Again after a round that found something: what was under way when it began may have written behind it.
        while await self._erase_rows(job, tenant_id):
            pass
        while count := await self._objects.delete_some(tenant_id):
            await self._note(tenant_id, objects=count)
            await job.progress(job.done)
        try:
            messages = await self._purge(tenant_id)
        except (EventingError, TimeoutError, OSError) as error:
            raise Retry("NATS is away; its messages of the tenant come next.", after_s=_NATS_AWAY_S) from error
        await self._note(tenant_id, messages=messages)

    async def _erase_rows(self, job: JobRun, tenant_id: str) -> int:
        erased = 0
        for table in tables_to_erase():
            while count := await self._erase_batch(tenant_id, table):
                erased += count
                await job.progress(job.done + count)
        return erased

    async def _erase_batch(self, tenant_id: str, table: str) -> int:
        async with self._database.unscoped_write() as unit:
            await unit.enter_tenant(tenant_id)
            count = await TenantDataRepository(unit.session, tenant_id).erase(table, self._rows)
            if count:
                await unit.enter_tenant(PLATFORM_TENANT)
                receipt = await ErasureReceiptRepository(unit.session).find_locked(tenant_id)
                receipt.rows = {**receipt.rows, table: receipt.rows.get(table, 0) + count}
        return count

    async def _note(self, tenant_id: str, *, objects: int = 0, messages: int = 0) -> None:
        async with self._database.write(PLATFORM_TENANT) as unit:
            receipt = await ErasureReceiptRepository(unit.session).find_locked(tenant_id)
            receipt.objects += objects
            receipt.messages += messages


class EraseDue:
    """Once a day: orders the erasure of every deleted tenant whose grace period is over."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def run(self, job: JobRun) -> Done:
        """Look for them, and order an erasure for each."""
        after: str | None = None
        ordered = 0
        while due := await self._due(after):
            async with self._database.write(PLATFORM_TENANT) as unit:
                for tenant_id in due:
                    await erasures.order(unit, tenant_id, _ACTOR)
            after, ordered = due[-1], ordered + len(due)
            await job.progress(ordered)
        return Done({"ordered": ordered})

    async def _due(self, after: str | None) -> list[str]:
        async with self._database.unscoped_read() as unit:
            return list(await ErasureDirectory(unit.session).due_in_any_tenant(utc_now(), after, _TENANTS))


def job_kinds(
    database: Database, objects: ObjectStore, signer: Signer, purge: Purge, *, settle_s: float = _SETTLE_S
) -> tuple[JobKind, ...]:
    """The jobs of erasures. Theirs must get done, so they are tried for days."""
    erase = EraseTenant(database, objects, signer, purge, settle_s=settle_s)
    return (
        JobKind(
            erasures.ERASE, erasures.QUEUE, erase.run, max_attempts=500, soft_limit_s=3_300.0, hard_limit_s=3_600.0
        ),
        JobKind(ERASE_DUE, erasures.QUEUE, EraseDue(database).run, max_attempts=20),
    )
