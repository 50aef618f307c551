"""Files that jobs make of a form's responses: who may have one, how long it is kept, and who fetches it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Generic

from db.models.made_files import MadeFile
from db.repositories.jobs import JobRepository
from db.repositories.made_files import Made, MadeFileRepository
from db.repositories.published_forms import PublishedFormRepository
from db.repositories.storage import StorageRepository
from db.session import UnitOfWork
from db.types import new_id, utc_now
from deployments.kit.audit import audit
from deployments.kit.contract import Contract, PageMeta
from deployments.kit.downloads import OpenedFile
from deployments.kit.errors import Conflict, Invalid, NotFound
from deployments.kit.links import Links
from deployments.kit.objects import object_key
from deployments.kit.pagination import decode_cursor, encode_cursor
from deployments.kit.principal import Principal
from deployments.kit.quotas import StorageQuotaReached, require_room
from deployments.kit.tenants import require_active_tenant
from eventing.jobs import JobSpec, enqueue

QUEUE: Final = "batch"
PERSONAL: Final = "responses:read_personal"
_STATES: Final = {"queued": "queued", "running": "running", "cancelled": "cancelled"}


class KeyMismatch(Invalid):
    code, title = "idempotency.mismatch", "The key was used for another request"


@dataclass(frozen=True, slots=True)
class OrderedFile:
    """A file and the job that makes it; `replayed` when they were ordered before, with the same key."""

    id: str
    job_id: str
    replayed: bool = False


@dataclass(frozen=True, kw_only=True)
class MadeFiles(Generic[Made]):
    """One kind of these files. It has the same `name` in the audit trail, as a job and in addresses, `plural` is its
    folder; `scope` lets somebody read what it is made of. `sent_as`: the name and media type of a file."""

    row: type[Made]
    name: str
    plural: str
    prefix: str
    scope: str
    not_found: type[NotFound]
    not_ready: type[Conflict]
    sent_as: Callable[[Made], tuple[str, str]]

    @property
    def key(self) -> str:
        """What its id is called where others stand beside it."""
        return f"{self.name}_id"

    @property
    def remove(self) -> str:
        """The job that removes what a file has left in the object store."""
        return f"{self.plural}.remove"

    @property
    def actor(self) -> str:
        """Who acts when nobody does."""
        return f"system:{self.plural}"

    def of(self, unit: UnitOfWork) -> MadeFileRepository[Made]:
        """Those of the unit's tenant."""
        return MadeFileRepository(unit.session, unit.tenant, self.row)

    def folder(self, tenant_id: str, form_id: str, file_id: str) -> str:
        """Everything of one file is below it in the object store."""
        return object_key(tenant_id, self.plural, form_id, file_id)

    async def order(
        self,
        unit: UnitOfWork,
        principal: Principal,
        form_id: str,
        command: Contract,
        life: timedelta,
        *,
        unique_key: str | None,
        columns: Mapping[str, Any],
        **details: Any,
    ) -> OrderedFile:
        """Order a file, once for each `unique_key`; `columns` are the row's own, `details` for the audit trail. Raises
        KeyMismatch."""
        file_id, now = new_id(self.prefix), utc_now()
        payload = {self.key: file_id, "form_id": form_id, "order": command.model_dump(mode="json")}
        job_id = await enqueue(unit, JobSpec(self.name, payload, principal.subject, unique_key, queue=QUEUE))
        if unique_key is not None:
            job = await JobRepository(unit.session, unit.tenant).find(job_id)
            if job is None or job.payload["order"] != payload["order"]:
                raise KeyMismatch
            if job.payload[self.key] != file_id:
                return OrderedFile(job.payload[self.key], job_id, replayed=True)
        self.of(unit).add(
            self.row(
                tenant_id=unit.tenant,
                id=file_id,
                form_id=form_id,
                job_id=job_id,
                requested_by=principal.subject,
                created_at=now,
                expires_at=now + life,
                **columns,
            )
        )
        audit(unit, principal, f"{self.name}.ordered", file_id, form_id=form_id, **details)
        return OrderedFile(file_id, job_id)

    async def page(
        self, unit: UnitOfWork, form_id: str | None, cursor: str | None, limit: int, **selection: Any
    ) -> tuple[Sequence[Made], PageMeta]:
        """A page of those that `MadeFileRepository.page` selects, newest first."""
        sort = f"{form_id or ''}:{self.plural}"
        before = None if cursor is None else str(decode_cursor(cursor, sort, 1)[0])
        rows = await self.of(unit).page(form_id, before, limit + 1, **selection)
        more = encode_cursor(sort, [rows[limit - 1].id]) if len(rows) > limit else None
        return rows[:limit], PageMeta(limit=limit, next_cursor=more)

    async def readable(self, unit: UnitOfWork, principal: Principal, file_id: str) -> Made:
        """A file that the principal may fetch. Raises `not_found`."""
        row = await self._present(unit, file_id)
        if not principal.may(self.scope, row.form_id):
            raise self.not_found
        if row.sees_personal and not principal.may(PERSONAL, row.form_id):
            raise self.not_found
        return row

    async def opened(self, unit: UnitOfWork, principal: Principal, file_id: str) -> OpenedFile:
        """Where the file lies; that somebody fetched it is written down. Raises `not_found`, `not_ready`."""
        row = await self.readable(unit, principal, file_id)
        file = self._opened(row)
        audit(unit, principal, f"{self.name}.fetched", row.id)
        return file

    async def link(
        self,
        unit: UnitOfWork,
        principal: Principal,
        file_id: str,
        expires_in: int | None,
        links: Links,
        public_url: str,
    ) -> tuple[str, datetime]:
        """An address for the file that needs no credential, and its end; that it was given out is written down. Raises
        `not_found`, `not_ready`."""
        row = await self.readable(unit, principal, file_id)
        self._opened(row)
        expires_at = row.expires_at.replace(microsecond=0)
        if expires_in is not None:
            expires_at = min(expires_at, utc_now().replace(microsecond=0) + timedelta(seconds=expires_in))
        audit(unit, principal, f"{self.name}.link_created", row.id, expires_at=expires_at.isoformat())
        return self.address(row, expires_at, links, public_url), expires_at

    def address(self, row: Made, expires_at: datetime, links: Links, public_url: str) -> str:
        """Where the file is for whoever has the address, until a moment."""
        signed = links.link(row.tenant_id, row.id, expires_at)
        return f"{public_url}/api/v1/{self.name}-links/{row.tenant_id}/{signed}"

    async def opened_by_link(self, unit: UnitOfWork, principal: Principal, signed: str, links: Links) -> OpenedFile:
        """The file that a link opens; that it was fetched is written down. Raises `not_found`, TenantSuspended."""
        file_id = links.target_of(unit.tenant, signed, utc_now())
        if file_id is None:
            raise self.not_found
        row = await self._present(unit, file_id)
        if row.file is None:
            raise self.not_found
        await require_active_tenant(unit, self.not_found)
        audit(unit, principal, f"{self.name}.fetched", row.id, by="link")
        return self._opened(row)

    async def delete(self, unit: UnitOfWork, principal: Principal, row: Made) -> None:
        """Forget a file: its job is ended, what it has in the object store removed."""
        job = await JobRepository(unit.session, unit.tenant).find(row.job_id, for_update=True)
        if job is not None and job.state in ("queued", "running"):
            if job.state == "queued":
                job.state, job.finished_at = "cancelled", utc_now()
            job.cancel_requested = True
        audit(unit, principal, f"{self.name}.deleted", row.id)
        await self.forget(unit, row)

    async def forget(self, unit: UnitOfWork, row: Made) -> None:
        """The file is no more, and what it has in the object store is going to be removed."""
        await enqueue(unit, JobSpec(self.remove, {"form_id": row.form_id, self.key: row.id}, self.actor))
        if row.file is not None:
            await StorageRepository(unit.session, unit.tenant).remove(row.file)
        await self.of(unit).delete(row)

    async def finish(
        self, unit: UnitOfWork, file_id: str, file: str, *, sha256: str, size: int, life: Callable[[Made], timedelta]
    ) -> Made | None:
        """The file is complete and can be fetched. None when it is not wanted: it was removed, or is complete. Raises
        StorageQuotaReached."""
        row = await self.of(unit).find(file_id, for_update=True)
        if row is None or row.finished_at is not None:
            return None
        storage = StorageRepository(unit.session, unit.tenant)
        await require_room(unit, StorageQuotaReached, storage.used, size)
        await storage.add(file, size)
        now = utc_now()
        row.finished_at, row.expires_at = now, now + life(row)
        row.file, row.sha256, row.bytes = file, sha256, size
        return row

    def result(self, row: Made, **figures: int) -> dict[str, Any]:
        """What the job reports."""
        return {
            self.key: row.id,
            "download_url": self._url(row),
            "expires_at": row.expires_at.isoformat(),
            **figures,
            "bytes": row.bytes,
        }

    async def shown(self, unit: UnitOfWork, row: Made) -> dict[str, Any]:
        """What readers are told of a file, whatever it holds."""
        job = None if row.file is not None else await JobRepository(unit.session, unit.tenant).find(row.job_id)
        return {
            "id": row.id,
            "form_id": row.form_id,
            "job_id": row.job_id,
            "state": "ready" if row.file is not None else _STATES.get(job.state if job else "", "failed"),
            "has_personal": row.sees_personal,
            "requested_by": row.requested_by,
            "created_at": row.created_at,
            "finished_at": row.finished_at,
            "expires_at": row.expires_at,
            "bytes": row.bytes,
            "download_url": None if row.file is None else self._url(row),
        }

    async def _present(self, unit: UnitOfWork, file_id: str) -> Made:
        row = await self.of(unit).find(file_id)
        if row is None or row.expires_at <= utc_now():
            raise self.not_found
        if not await PublishedFormRepository(unit.session, unit.tenant).exists(row.form_id):
            raise self.not_found
        return row

    def _opened(self, row: Made) -> OpenedFile:
        if row.file is None:
            raise self.not_ready
        name, media_type = self.sent_as(row)
        return OpenedFile(object=row.file, name=name, size=row.bytes, type=media_type, sha256=row.sha256)

    def _url(self, row: MadeFile) -> str:
        return f"/api/v1/{self.plural}/{row.id}/download"
