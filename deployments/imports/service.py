"""The rules of starting an import."""

from typing import Final

from db.repositories.jobs import JobRepository
from db.repositories.storage import StorageRepository
from db.session import UnitOfWork
from deployments.imports.contracts import StartedImport, StartImport
from deployments.imports.errors import FileForeign, KeyMismatch
from deployments.kit.features import require_feature, settings_of
from deployments.kit.principal import Principal
from deployments.kit.quotas import StorageQuotaReached, require_room
from deployments.kit.tenants import require_customer
from eventing.jobs import JobSpec, enqueue, opened

IMPORT: Final = "import"


async def start(unit: UnitOfWork, principal: Principal, command: StartImport) -> StartedImport:
    """Order the import. The same key orders the same import once; raises KeyMismatch for another one.

    Raises Forbidden unless the principal may write forms and responses, TenantRequired, FeatureDisabled, FileForeign
    for another tenant's file, StorageQuotaReached.
    """
    principal.require("forms:write")
    principal.require("responses:write")
    require_customer(principal)
    require_feature(await settings_of(unit), "imports")
    if not command.file.startswith(f"{unit.tenant}/"):
        raise FileForeign
    payload = command.model_dump(mode="json", exclude={"idempotency_key"})
    key = None if command.idempotency_key is None else f"{IMPORT}:{command.idempotency_key}"
    job_id = await enqueue(unit, JobSpec(IMPORT, payload, created_by=principal.subject, unique_key=key))
    if key is None:
        await _keep(unit, command)
        return StartedImport(job_id=job_id)
    job = await JobRepository(unit.session, unit.tenant).find(job_id)
    if job is None or _order(opened(job.payload)[0]) != _order(payload):
        raise KeyMismatch
    replayed = job.payload["file"] != command.file
    if not replayed and job.finished_at is None:
        await _keep(unit, command)
    return StartedImport(job_id=job_id, replayed=replayed)


async def _keep(unit: UnitOfWork, command: StartImport) -> None:
    storage = StorageRepository(unit.session, unit.tenant)
    # The same call twice is about one file.
    await require_room(unit, StorageQuotaReached, lambda: storage.used(but=command.file), command.size)
    await storage.add(command.file, command.size)


def _order(payload: dict[str, object]) -> dict[str, object]:
    # Each upload gets a place of its own; what was uploaded is known by its checksum.
    return {name: value for name, value in payload.items() if name not in ("file", "file_name")}
