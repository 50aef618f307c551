"""The audit trail: appending to a tenant's chain, reading and checking it."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import orjson
from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from db.models.audit import AuditEntry, AuditHead
from db.repositories.upsert import upsert

GENESIS: Final = "0" * 64
"""What the first entry of a chain follows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deed:
    """What is to be written down. `at` is aware UTC, `details` are plain JSON values and never secrets."""

    at: datetime
    actor: str
    action: str
    entity_id: str
    form_id: str | None = None
    address: str = ""
    user_agent: str = ""
    request_id: str = ""
    details: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditQuery:
    """Which entries; None means any. `until` is exclusive."""

    actor: str | None = None
    action: str | None = None
    entity_id: str | None = None
    form_id: str | None = None
    since: datetime | None = None
    until: datetime | None = None


def hash_of(entry: dict[str, Any]) -> str:
    """SHA-256, in hex, of everything in an entry but its hash: JSON with sorted keys and the time in UTC."""
    covered = {name: value for name, value in entry.items() if name != "hash"}
    covered["at"] = covered["at"].astimezone(UTC).isoformat(timespec="microseconds")
    return hashlib.sha256(orjson.dumps(covered, option=orjson.OPT_SORT_KEYS)).hexdigest()


class AuditRepository:
    """The chain of one tenant."""

    def __init__(self, session: AsyncSession, tenant_id: str) -> None:
        self._session = session
        self._tenant_id = tenant_id

    async def append(self, deeds: Sequence[Deed]) -> None:
        """Add entries to the end of the chain; until the transaction ends nobody else adds any."""
        first = upsert(self._session, AuditHead).values(tenant_id=self._tenant_id, sequence=0, hash=GENESIS)
        await self._session.execute(first.on_conflict_do_nothing(index_elements=["tenant_id"]))
        mine = col(AuditHead.tenant_id) == self._tenant_id
        locked = select(col(AuditHead.sequence), col(AuditHead.hash)).where(mine).with_for_update()
        sequence, previous = (await self._session.execute(locked)).one()
        entries: list[dict[str, Any]] = []
        for deed in deeds:
            sequence += 1
            entry: dict[str, Any] = {
                "tenant_id": self._tenant_id,
                "sequence": sequence,
                "at": deed.at,
                "actor": deed.actor,
                "action": deed.action,
                "entity_id": deed.entity_id,
                "form_id": deed.form_id,
                "address": deed.address,
                "user_agent": deed.user_agent,
                "request_id": deed.request_id,
                "details": orjson.dumps(deed.details, option=orjson.OPT_SORT_KEYS).decode(),
                "previous_hash": previous,
            }
            previous = entry["hash"] = hash_of(entry)
            entries.append(entry)
        await self._session.execute(insert(AuditEntry), entries)
        await self._session.execute(update(AuditHead).where(mine).values(sequence=sequence, hash=previous))

    async def head(self) -> tuple[int, str]:
        """The sequence and the hash of the last entry; 0 and GENESIS of an empty chain."""
        head = await self._session.get(AuditHead, self._tenant_id)
        return (0, GENESIS) if head is None else (head.sequence, head.hash)

    async def page(self, query: AuditQuery, before: int | None, limit: int) -> Sequence[AuditEntry]:
        """Up to `limit` entries, newest first, older than the sequence `before`."""
        statement = (
            select(AuditEntry)
            .where(col(AuditEntry.tenant_id) == self._tenant_id)
            .order_by(col(AuditEntry.sequence).desc())
            .limit(limit)
        )
        for name in ("actor", "action", "entity_id", "form_id"):
            if (wanted := getattr(query, name)) is not None:
                statement = statement.where(col(getattr(AuditEntry, name)) == wanted)
        if query.since is not None:
            statement = statement.where(col(AuditEntry.at) >= query.since)
        if query.until is not None:
            statement = statement.where(col(AuditEntry.at) < query.until)
        if before is not None:
            statement = statement.where(col(AuditEntry.sequence) < before)
        return (await self._session.scalars(statement)).all()

    async def following(self, after: int, limit: int) -> Sequence[AuditEntry]:
        """Up to `limit` entries in the order of the chain, after the sequence `after`."""
        statement = (
            select(AuditEntry)
            .where(col(AuditEntry.tenant_id) == self._tenant_id, col(AuditEntry.sequence) > after)
            .order_by(col(AuditEntry.sequence))
            .limit(limit)
        )
        return (await self._session.scalars(statement)).all()
