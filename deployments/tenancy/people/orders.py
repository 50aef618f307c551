"""The rules of erasing a person: who may order it, what is answered, and what proves it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from db.models.people import PersonErasure as ErasureRow
from db.repositories.person_data import PersonDataRepository
from db.repositories.person_erasures import PersonErasureRepository
from db.session import UnitOfWork
from db.types import new_id, utc_now
from deployments.kit.contract import Page, PageMeta
from deployments.kit.errors import Fault, Invalid
from deployments.kit.pagination import decode_cursor, encode_cursor
from deployments.kit.principal import Principal
from deployments.kit.vault import Vault
from deployments.tenancy.errors import ErasureNotFound, PersonReceiptNotFound
from deployments.tenancy.people.subject import Subject
from deployments.tenancy.people_contracts import ErasePerson, PersonErasure, PersonErasureReceipt
from eventing.events.tenancy import PersonErasureRequested
from eventing.jobs import JobSpec, enqueue_again
from eventing.outbox import record

ERASE_PERSON: Final = "people.erase"
SCOPE: Final = "people:erase"
QUEUE: Final = "batch"
FIRST_STEP: Final = "find"

_SORT: Final = "-id"


@dataclass(frozen=True, slots=True)
class Sealing:
    """What keeps a person from being told: the vault for the time of the search, and the key of the digest that
    stays."""

    vault: Vault
    digests: bytes = field(repr=False)


async def start(unit: UnitOfWork, principal: Principal, command: ErasePerson, sealing: Sealing) -> PersonErasure:
    """Order the erasure; one of the same person in the same forms that has not ended yet is answered, and goes on.

    Raises Forbidden, Invalid with every form that there is not.
    """
    principal.require(SCOPE)
    subject = Subject.of(command.subject)
    forms = None if command.form_ids is None else sorted(set(command.form_ids))
    if forms is not None:
        await _require_forms(unit, command.form_ids or ())
    digest = subject.digest(sealing.digests, unit.tenant)
    repository = PersonErasureRepository(unit.session, unit.tenant)
    row = next(
        (each for each in await repository.under_way(digest, dry_run=command.dry_run) if each.form_ids == forms), None
    )
    if row is None:
        row = ErasureRow(
            tenant_id=unit.tenant,
            id=new_id("ers"),
            kind=subject.kind,
            digest=digest,
            sealed=subject.sealed(sealing.vault),
            form_ids=forms,
            dry_run=command.dry_run,
            requested_by=principal.subject,
            job_id="",
            created_at=utc_now(),
            step=FIRST_STEP,
        )
        repository.add(row)
        fact = PersonErasureRequested(erasure_id=row.id, subject_kind=row.kind, dry_run=row.dry_run)
        record(unit, fact, actor=principal.subject, origin=principal.origin)
    # No personal value: orders of jobs are read by many.
    spec = JobSpec(ERASE_PERSON, {"erasure_id": row.id}, principal.subject, f"{ERASE_PERSON}:{row.id}", queue=QUEUE)
    row.job_id = await enqueue_again(unit, spec)
    return _to_erasure(row)


async def list_all(unit: UnitOfWork, principal: Principal, cursor: str | None, limit: int) -> Page[PersonErasure]:
    """The erasures and dry runs, newest first."""
    principal.require(SCOPE)
    before = None if cursor is None else str(decode_cursor(cursor, _SORT, 1)[0])
    rows = await PersonErasureRepository(unit.session, unit.tenant).page(before, limit + 1)
    more = encode_cursor(_SORT, [rows[limit - 1].id]) if len(rows) > limit else None
    data = [_to_erasure(row) for row in rows[:limit]]
    return Page[PersonErasure](data=data, meta=PageMeta(limit=limit, next_cursor=more))


async def get(unit: UnitOfWork, principal: Principal, erasure_id: str) -> PersonErasure:
    """An erasure. Raises ErasureNotFound."""
    return _to_erasure(await _found(unit, principal, erasure_id))


async def receipt(unit: UnitOfWork, principal: Principal, erasure_id: str) -> PersonErasureReceipt:
    """The receipt. Raises ErasureNotFound; PersonReceiptNotFound while the erasure has not ended, and for a dry run."""
    row = await _found(unit, principal, erasure_id)
    if not row.signature:
        raise PersonReceiptNotFound
    return to_receipt(row)


def to_receipt(row: ErasureRow) -> PersonErasureReceipt:
    """What an erasure that has ended says; not signed before it is."""
    return PersonErasureReceipt.model_validate(
        {
            "erasure_id": row.id,
            "tenant_id": row.tenant_id,
            "subject_kind": row.kind,
            "subject_digest": row.digest,
            "form_ids": row.form_ids,
            "requested_by": row.requested_by,
            "started_at": row.created_at,
            "ended_at": row.ended_at,
            "forms": row.forms,
            "places": row.places,
            **_kept(row),
            "public_key": row.public_key,
            "signature": row.signature,
        }
    )


def _to_erasure(row: ErasureRow) -> PersonErasure:
    return PersonErasure.model_validate(
        {
            "id": row.id,
            "job_id": row.job_id,
            "state": "running" if row.ended_at is None else "done",
            "dry_run": row.dry_run,
            "subject_kind": row.kind,
            "subject_digest": row.digest,
            "form_ids": row.form_ids,
            "requested_by": row.requested_by,
            "created_at": row.created_at,
            "ended_at": row.ended_at,
            "forms": row.forms,
            "places": row.places,
            **_kept(row),
        }
    )


def _kept(row: ErasureRow) -> dict[str, object]:
    return {"accounts": row.kept.get("accounts", []), "audit_entries": row.kept.get("audit_entries", 0)}


async def _found(unit: UnitOfWork, principal: Principal, erasure_id: str) -> ErasureRow:
    principal.require(SCOPE)
    row = await PersonErasureRepository(unit.session, unit.tenant).find(erasure_id)
    if row is None:
        raise ErasureNotFound
    return row


async def _require_forms(unit: UnitOfWork, form_ids: Sequence[str]) -> None:
    known = set(await PersonDataRepository(unit.session, unit.tenant).forms("", form_ids, len(form_ids)))
    faults = tuple(
        Fault(f"/form_ids/{number}", "form.not_found", "There is no such form.")
        for number, form_id in enumerate(form_ids)
        if form_id not in known
    )
    if faults:
        raise Invalid("There are forms that do not exist.", faults=faults)
