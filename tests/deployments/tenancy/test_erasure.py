"""T7: erasing a tenant, once its grace period is over, and the receipt that stays."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text, update
from sqlalchemy.exc import DBAPIError
from sqlmodel import col

from db.models.events import Event
from db.models.identity import PLATFORM_TENANT, Tenant
from db.models.jobs import Job
from db.repositories.tenant_data import TENANT, TenantDataRepository
from db.session import Database
from db.types import utc_now
from deployments.identity.bootstrap import ensure_administrator
from deployments.identity.contracts import CreateTenant
from deployments.identity.deployment import Identity
from deployments.identity.errors import TenantNotFound as NobodyThere
from deployments.identity.errors import TenantTaken
from deployments.identity.settings import IdentitySettings
from deployments.kit.errors import Forbidden, Unauthenticated
from deployments.kit.objects import ObjectStore
from deployments.kit.principal import Principal
from deployments.tenancy import erasing
from deployments.tenancy.contracts import EraseTenant, ErasureReceipt
from deployments.tenancy.deployment import Tenancy
from deployments.tenancy.erasing import EraseDue
from deployments.tenancy.errors import (
    ErasureUnconfirmed,
    ReceiptNotFound,
    TenantErased,
    TenantInGrace,
    TenantNotDeleted,
    TenantNotFound,
)
from deployments.tenancy.receipts import Signer, is_genuine
from eventing.errors import ConnectFailed
from eventing.jobs import GiveUp, JobRun, Retry
from tests.deployments.identity.conftest import ORIGIN, VAULT, login_of, signup_of
from tests.deployments.tenancy.population import ROWS, attempt, contents, counts, populate
from tests.eventing.harness import rows
from tests.factories import make_tenant

SECRET = "0123456789abcdef0123456789abcdef"
SIGNER = Signer(SECRET)
ROOT = Principal(
    PLATFORM_TENANT, "usr_root", "user", "administrator", frozenset({"platform:admin", "tenant:own", "tenant:read"})
)
CONFIRMED = EraseTenant(confirm="acme")


@pytest.fixture
async def administered(database: Database) -> Database:
    await ensure_administrator(database, "root@example.com", "correct horse battery")
    return database


class Stream:
    """A stream that holds three messages of each tenant, when it can be reached."""

    def __init__(self) -> None:
        self.away = False
        self.purged: list[str] = []

    async def purge(self, tenant_id: str) -> int:
        if self.away:
            raise ConnectFailed("away")
        self.purged.append(tenant_id)
        return 3 if self.purged.count(tenant_id) == 1 else 0


def eraser(database: Database, objects: ObjectStore, stream: Stream, **options: Any) -> erasing.EraseTenant:
    return erasing.EraseTenant(database, objects, SIGNER, stream.purge, **{"settle_s": 0.0, "rows": 3, **options})


def _attempt() -> JobRun:
    return attempt(PLATFORM_TENANT, {"tenant_id": "acme", "requested_by": "usr_root"})


async def _put(objects: ObjectStore, *keys: str) -> None:
    for key in keys:
        async with objects.writer(key) as writer:
            await writer.write(b"content")


async def _tenant(database: Database) -> Tenant:
    (found,) = [row for row in await rows(database, Tenant) if row.id == "acme"]
    return found


async def test_leaves_nothing_of_the_tenant_and_everything_of_others(
    administered: Database, objects: ObjectStore
) -> None:
    """T7: checked over every table there is, with keys of a neighbour that begin alike."""
    database, stream = administered, Stream()
    await populate(database, "acme", deleted=True)
    await populate(database, "acme-2")
    await _put(objects, "acme/imports/1", "acme/exports/exp_1/a.zip", "acme-2/imports/1")
    before = await counts(database, "acme")
    neighbour, platform = await contents(database, "acme-2"), await counts(database, PLATFORM_TENANT)
    assert min(before.values()) >= 1

    await eraser(database, objects, stream).run(_attempt())

    assert await counts(database, "acme") == {**dict.fromkeys(before, 0), TENANT: 1}
    assert await contents(database, "acme-2") == neighbour
    assert [key async for key, _ in objects.below("acme")] == []
    assert [key async for key, _ in objects.below("acme-2")] == ["acme-2/imports/1"]
    assert stream.purged == ["acme"]
    left = await _tenant(database)
    assert (left.id, left.name, left.settings, left.status) == ("acme", "", {}, "deleted")
    assert left.erased_at is not None
    receipt = await Tenancy(database).get_receipt(ROOT, "acme")
    assert receipt.rows == {name: count for name, count in before.items() if name != TENANT}
    assert (receipt.objects, receipt.messages, receipt.requested_by) == (2, 3, "usr_root")
    assert (receipt.audit_sequence, receipt.audit_hash) == (ROWS, f"audit_head-hash-acme-{ROWS - 1}")
    after = await counts(database, PLATFORM_TENANT)
    assert after == {**platform, "erasure_receipt": 1, "event": 2, "audit_entry": 2}


async def test_goes_on_where_it_was_when_its_worker_died(
    administered: Database, objects: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """T7: killed after every fifth batch, it deletes and counts everything once."""
    database, stream = administered, Stream()
    await populate(database, "acme", deleted=True)
    await _put(objects, "acme/imports/1")
    before = await counts(database, "acme")
    erase = TenantDataRepository.erase
    allowed = 0

    async def mortal(repository: TenantDataRepository, table: str, limit: int) -> int:
        nonlocal allowed
        allowed -= 1
        if allowed == 0:
            await erase(repository, table, limit)  # and the transaction is rolled back
        if allowed <= 0:
            raise ZeroDivisionError
        return await erase(repository, table, limit)

    monkeypatch.setattr(TenantDataRepository, "erase", mortal)
    deaths = 0
    while deaths < 500:
        # Each empty table costs a batch, too: every attempt must get a little farther than the one before.
        allowed = 5 + deaths
        try:
            await eraser(database, objects, stream).run(_attempt())
            break
        except ZeroDivisionError:
            deaths += 1
            with pytest.raises(ReceiptNotFound):
                await Tenancy(database).get_receipt(ROOT, "acme")
    assert 10 < deaths < 500
    receipt = await Tenancy(database).get_receipt(ROOT, "acme")
    assert receipt.rows == {name: count for name, count in before.items() if name != TENANT}
    assert is_genuine(receipt, SIGNER.public_key)


async def test_erasing_twice_is_erasing_once(administered: Database, objects: ObjectStore) -> None:
    database, stream = administered, Stream()
    await populate(database, "acme", deleted=True)
    first = await eraser(database, objects, stream).run(_attempt())
    receipt = await Tenancy(database).get_receipt(ROOT, "acme")
    assert await eraser(database, objects, stream).run(_attempt()) == first
    assert await Tenancy(database).get_receipt(ROOT, "acme") == receipt
    with pytest.raises(TenantErased):
        await Tenancy(database).start_erasure(ROOT, "acme", CONFIRMED)


async def test_waits_for_nats(administered: Database, objects: ObjectStore) -> None:
    """T7: without its messages gone a tenant is not erased."""
    database, stream = administered, Stream()
    await populate(database, "acme", deleted=True)
    stream.away = True
    with pytest.raises(Retry):
        await eraser(database, objects, stream).run(_attempt())
    assert (await _tenant(database)).erased_at is None
    stream.away = False
    await eraser(database, objects, stream).run(_attempt())
    assert (await Tenancy(database).get_receipt(ROOT, "acme")).messages == 3


async def test_waits_for_what_is_under_way(administered: Database, objects: ObjectStore) -> None:
    """T7: calls of a moment ago and running jobs could write behind it."""
    database, stream = administered, Stream()
    await populate(database, "acme", deleted=True)
    running = {"state": "running", "lease_until": utc_now() + timedelta(minutes=1)}
    async with database.unscoped_write() as unit:
        mine = col(Job.tenant_id) == "acme", col(Job.id) == "job-id-acme-1"
        await unit.session.execute(update(Job).where(*mine).values(**running))
    with pytest.raises(Retry, match="still running"):
        await eraser(database, objects, stream).run(_attempt())
    async with database.unscoped_write() as unit:
        await unit.session.execute(update(Job).where(*mine).values(lease_until=utc_now()))
        waiting = col(Event.tenant_id) == "acme", col(Event.id) == "event-id-acme-1"
        await unit.session.execute(update(Event).where(*waiting).values(published_at=None))
    with pytest.raises(Retry, match="to be published"):
        await eraser(database, objects, stream).run(_attempt())
    async with database.unscoped_write() as unit:
        await unit.session.execute(update(Event).where(*waiting).values(published_at=utc_now()))
        await unit.session.execute(update(Tenant).where(col(Tenant.id) == "acme").values(deleted_at=utc_now()))
    with pytest.raises(Retry, match="a moment ago") as caught:
        await eraser(database, objects, stream, settle_s=60.0).run(_attempt())
    assert 50 < (caught.value.after_s or 0) <= 60
    assert min((await counts(database, "acme")).values()) >= 1


async def test_a_tenant_that_lives_is_never_erased(administered: Database, objects: ObjectStore) -> None:
    """T7: whatever the job says, the tenant's own row decides."""
    database = administered
    await populate(database, "acme")
    with pytest.raises(GiveUp):
        await eraser(database, objects, Stream()).run(_attempt())
    async with database.unscoped_write() as unit:
        later = {"status": "deleted", "erase_after": utc_now() + timedelta(days=1)}
        await unit.session.execute(update(Tenant).where(col(Tenant.id) == "acme").values(**later))
    with pytest.raises(GiveUp):
        await eraser(database, objects, Stream()).run(_attempt())
    assert min((await counts(database, "acme")).values()) >= 1


@pytest.mark.parametrize("state", ["active", "suspended", "in grace"])
async def test_the_database_keeps_the_audit_trail_of_whom_can_come_back(administered: Database, state: str) -> None:
    """U7: entries go with an erasure and for no other reason."""
    database = administered
    await populate(database, "acme")
    values: dict[str, Any] = {"status": state}
    if state == "in grace":
        values = {"status": "deleted", "erase_after": utc_now() + timedelta(days=1)}
    async with database.unscoped_write() as unit:
        await unit.session.execute(update(Tenant).where(col(Tenant.id) == "acme").values(**values))

    async def erase() -> None:
        async with database.write("acme") as unit:
            await unit.session.execute(text("DELETE FROM audit_entry"))

    with pytest.raises(DBAPIError, match="never changed"):
        await erase()


class TestOrder:
    async def test_needs_a_deleted_tenant_whose_grace_is_over(self, administered: Database) -> None:
        database = administered
        tenancy = Tenancy(database)
        await make_tenant(database)
        with pytest.raises(TenantNotDeleted):
            await tenancy.start_erasure(ROOT, "acme", EraseTenant(confirm="acme", force=True))
        identity = Identity(database, IdentitySettings(signing_key="k" * 32), VAULT)  # type: ignore[arg-type]
        await identity.delete_tenant(ROOT, "acme")
        with pytest.raises(TenantInGrace):
            await tenancy.start_erasure(ROOT, "acme", CONFIRMED)
        ordered = await tenancy.start_erasure(ROOT, "acme", EraseTenant(confirm="acme", force=True))
        with pytest.raises(NobodyThere):
            await identity.resume_tenant(ROOT, "acme")
        assert await tenancy.start_erasure(ROOT, "acme", CONFIRMED) == ordered
        (job,) = await rows(database, Job)
        assert (job.tenant_id, job.id, job.kind) == (PLATFORM_TENANT, ordered.job_id, "tenant.erase")

    async def test_starts_anew_when_it_was_given_up(self, administered: Database) -> None:
        database = administered
        await populate(database, "acme", deleted=True)
        ordered = await Tenancy(database).start_erasure(ROOT, "acme", CONFIRMED)
        mine = col(Job.id) == ordered.job_id
        async with database.unscoped_write() as unit:
            await unit.session.execute(update(Job).where(mine).values(state="failed", attempt=9))
        assert await Tenancy(database).start_erasure(ROOT, "acme", CONFIRMED) == ordered
        (job,) = [job for job in await rows(database, Job) if job.id == ordered.job_id]
        assert (job.state, job.attempt) == ("queued", 0)

    async def test_is_confirmed(self, administered: Database) -> None:
        await populate(administered, "acme", deleted=True)
        with pytest.raises(ErasureUnconfirmed) as caught:
            await Tenancy(administered).start_erasure(ROOT, "acme", EraseTenant(confirm="acme2", force=True))
        assert [(fault.pointer, fault.code) for fault in caught.value.faults] == [("/confirm", "erasure.unconfirmed")]

    async def test_is_the_platforms(self, administered: Database) -> None:
        await populate(administered, "acme", deleted=True)
        tenancy = Tenancy(administered)
        owner = Principal("acme", "usr_1", "user", "owner", frozenset({"tenant:own", "tenant:read"}))
        for refused in (
            tenancy.start_erasure(owner, "acme", CONFIRMED),
            tenancy.list_receipts(owner, None, 1),
            tenancy.get_receipt(owner, "acme"),
        ):
            with pytest.raises(Forbidden):
                await refused
        for tenant_id in ("nowhere", PLATFORM_TENANT):
            with pytest.raises(TenantNotFound):
                await tenancy.start_erasure(ROOT, tenant_id, EraseTenant(confirm=tenant_id, force=True))


async def test_the_id_is_never_given_again(administered: Database, objects: ObjectStore) -> None:
    """T7: links and addresses of the erased tenant must not lead to somebody else."""
    database = administered
    await populate(database, "acme", deleted=True)
    await eraser(database, objects, Stream()).run(_attempt())
    identity = Identity(database, IdentitySettings(signing_key="k" * 32), VAULT)  # type: ignore[arg-type]
    with pytest.raises(TenantTaken):
        await identity.sign_up(ORIGIN, signup_of("acme"))
    with pytest.raises(TenantTaken):
        await identity.create_tenant(ROOT, CreateTenant(id="acme", name="Again"))
    for refused in (identity.get_tenant, identity.resume_tenant, identity.delete_tenant, Tenancy(database).usage):
        with pytest.raises((NobodyThere, TenantNotFound)):
            await refused(ROOT, "acme")  # type: ignore[operator]
    with pytest.raises(TenantNotFound):
        await Tenancy(database).start_export(ROOT, "acme")
    with pytest.raises(Unauthenticated):
        await identity.log_in(ORIGIN, login_of("acme"))
    (shown,) = (await identity.list_tenants(ROOT, None, 10)).data
    assert (shown.id, shown.name) == ("acme", "")
    assert shown.erased_at is not None


class TestReceipt:
    @pytest.fixture
    def receipt(self) -> ErasureReceipt:
        now = utc_now()
        plain = ErasureReceipt(
            tenant_id="acme",
            requested_by="usr_1",
            started_at=now,
            ended_at=now,
            rows={"form": 2},
            objects=1,
            messages=3,
            audit_sequence=9,
            audit_hash="ab" * 32,
            public_key="",
            signature="",
        )
        return SIGNER.signed(plain)

    def test_is_genuine_after_its_way_through_a_file(self, receipt: ErasureReceipt) -> None:
        again = ErasureReceipt.model_validate_json(receipt.model_dump_json(indent=2))
        assert is_genuine(again, SIGNER.public_key)

    @pytest.mark.parametrize(
        "change",
        [{"tenant_id": "other"}, {"rows": {"form": 1}}, {"objects": 0}, {"audit_hash": "00"}, {"signature": "?"}],
    )
    def test_is_not_when_something_is_changed(self, receipt: ErasureReceipt, change: dict[str, Any]) -> None:
        assert not is_genuine(receipt.model_copy(update=change), SIGNER.public_key)

    def test_is_not_when_somebody_else_signed_it(self, receipt: ErasureReceipt) -> None:
        forged = Signer("f" * 32).signed(receipt)
        assert is_genuine(forged, forged.public_key)
        assert not is_genuine(forged, SIGNER.public_key)


class TestSearch:
    async def test_orders_what_is_due(self, administered: Database) -> None:
        """T1: erased after the grace period, without anybody asking."""
        database = administered
        await populate(database, "acme", deleted=True)
        await make_tenant(database, "alive")
        await make_tenant(database, "in-grace")
        async with database.unscoped_write() as unit:
            later = {"status": "deleted", "erase_after": utc_now() + timedelta(days=1)}
            await unit.session.execute(update(Tenant).where(col(Tenant.id) == "in-grace").values(**later))
        for _ in range(2):
            done = await EraseDue(database).run(attempt(PLATFORM_TENANT, {}))

        assert done.result == {"ordered": 1}
        mine = [job for job in await rows(database, Job) if job.tenant_id == PLATFORM_TENANT]
        (erase,) = mine
        assert (erase.kind, erase.payload["tenant_id"]) == ("tenant.erase", "acme")
