"""The rules of the audit trail: who may read it, and what makes a chain whole."""

from typing import Final

import orjson

from db.models.audit import AuditEntry as EntryRow
from db.repositories.audit import GENESIS, AuditQuery, AuditRepository, hash_of
from db.session import UnitOfWork
from deployments.audit.contracts import AuditEntry, AuditHead, FindEntries, Verification
from deployments.kit.contract import Page, PageMeta
from deployments.kit.errors import Invalid
from deployments.kit.pagination import decode_cursor, encode_cursor
from deployments.kit.principal import Principal

_READ: Final = "audit:read"
_SORT: Final = "-sequence"
_BATCH: Final = 1_000


async def list_entries(
    unit: UnitOfWork, principal: Principal, query: FindEntries, cursor: str | None, limit: int
) -> Page[AuditEntry]:
    """The entries that were asked for, newest first."""
    principal.require(_READ)
    wanted = AuditQuery(**query.model_dump())
    rows = await AuditRepository(unit.session, unit.tenant).page(wanted, _before(cursor), limit + 1)
    more = encode_cursor(_SORT, [str(rows[limit - 1].sequence)]) if len(rows) > limit else None
    return Page[AuditEntry](data=[_to_entry(row) for row in rows[:limit]], meta=PageMeta(limit=limit, next_cursor=more))


async def verify(unit: UnitOfWork, principal: Principal) -> Verification:
    """Whether every entry follows from the one before, up to the head. Within one snapshot, in batches."""
    principal.require(_READ)
    repository = AuditRepository(unit.session, unit.tenant)
    sequence, digest = await repository.head()
    head = AuditHead(sequence=sequence, hash=digest)
    position, previous, checked = 0, GENESIS, 0
    while rows := await repository.following(position, _BATCH):
        for row in rows:
            # What was appended since the head was read belongs to a later verification.
            if row.sequence > sequence:
                break
            if not _follows(row, position, previous):
                return Verification(valid=False, entries=checked, head=head, first_broken=position + 1)
            position, previous, checked = row.sequence, row.hash, checked + 1
        unit.session.expunge_all()
        if rows[-1].sequence >= sequence:
            break
    whole = position == sequence and previous == digest
    return Verification(valid=whole, entries=checked, head=head, first_broken=None if whole else position + 1)


async def holds(unit: UnitOfWork, principal: Principal, sequence: int, digest: str) -> bool:
    """Whether the chain still has the entry that somebody noted down: its hash stands for all before it, too."""
    principal.require(_READ)
    rows = await AuditRepository(unit.session, unit.tenant).following(sequence - 1, 1)
    return bool(rows) and rows[0].sequence == sequence and rows[0].hash == digest


def _follows(row: EntryRow, position: int, previous: str) -> bool:
    return row.sequence == position + 1 and row.previous_hash == previous and row.hash == hash_of(row.model_dump())


def _before(cursor: str | None) -> int | None:
    if cursor is None:
        return None
    (sequence,) = decode_cursor(cursor, _SORT, 1)
    if not (sequence.isascii() and sequence.isdigit() and len(sequence) < 19):
        raise Invalid.at("/cursor", "cursor.invalid", "the cursor does not belong to this list and sort")
    return int(sequence)


def _to_entry(row: EntryRow) -> AuditEntry:
    values = row.model_dump(exclude={"tenant_id", "details"})
    return AuditEntry(**values, details=orjson.loads(row.details))
