"""The event table as the relay sees it: what is still to be published, over all tenants."""

import json
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, String, bindparam, exists, func, insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from db.models.events import Event, EventCounter
from db.repositories import stream_state
from db.types import UTCDateTime

_CLOCKS_DIFFER_MS = 600_000

EventKey = tuple[str, str]
"""Tenant and event id."""

_UNPUBLISHED = col(Event.published_at).is_(None)
# `waiting` jumps in the index from one tenant to the next, so very many events of one cost no more than a few.
_WAITING = """
WITH RECURSIVE waiting(tenant_id) AS (
    SELECT first.tenant_id FROM (
        SELECT tenant_id FROM event WHERE published_at IS NULL AND tenant_id > :after ORDER BY tenant_id LIMIT 1
    ) AS first
    UNION ALL
    SELECT (
        SELECT following.tenant_id FROM event AS following
        WHERE following.published_at IS NULL AND following.tenant_id > waiting.tenant_id
        ORDER BY following.tenant_id LIMIT 1
    ) FROM waiting WHERE waiting.tenant_id IS NOT NULL
),
turn AS (SELECT tenant_id FROM waiting WHERE tenant_id IS NOT NULL AND {others} LIMIT :tenants)"""
# One parameter for any number, so that the statement stays the same.
_OTHERS = {
    "sqlite": "tenant_id NOT IN (SELECT value FROM json_each(:but))",
    "postgresql": "tenant_id NOT IN (SELECT json_array_elements_text(CAST(:but AS json)))",
}
_SHARE = "(SELECT CASE WHEN count(*) * :share > :many THEN :many / count(*) ELSE :share END FROM turn)"
_DUE = "FROM event AS due WHERE due.published_at IS NULL AND due.tenant_id = turn.tenant_id ORDER BY due.id LIMIT"
_JOIN = {
    "sqlite": "JOIN event AS mine ON mine.rowid IN (SELECT due.rowid {due} {share})",
    "postgresql": "CROSS JOIN LATERAL (SELECT due.* {due} {share}) AS mine",
}
_NEXT = """{waiting} SELECT mine.tenant_id, mine.id, mine.type, mine.entity_id, mine.envelope, mine.occurred_at
FROM turn {join} ORDER BY mine.id"""
_TAKE = {
    dialect: text(
        _NEXT.format(waiting=_WAITING.format(others=_OTHERS[dialect]), join=join.format(due=_DUE, share=_SHARE))
    ).columns(tenant_id=String, id=String, type=String, entity_id=String, envelope=String, occurred_at=UTCDateTime)
    for dialect, join in _JOIN.items()
}
_FIRST = "{waiting} SELECT min((SELECT due.occurred_at {due} 1)) AS oldest FROM turn"
_OLDEST = text(_FIRST.format(waiting=_WAITING.format(others="true"), due=_DUE)).columns(oldest=UTCDateTime)
_TENANTS_AT_ONCE = 64
_ALL = 1_000_000
_COUNTERS = (
    select(col(EventCounter.tenant_id), col(EventCounter.last))
    .where(col(EventCounter.tenant_id).in_(bindparam("tenants", expanding=True)))
    # In one order, or two relays could wait for each other.
    .order_by(col(EventCounter.tenant_id))
    .with_for_update()
)
# Only for what is there: a tenant may have been erased since its events were read.
_START = (
    "INSERT INTO event_counter (tenant_id, last) SELECT CAST(:tenant AS VARCHAR), 0 "
    "WHERE EXISTS (SELECT 1 FROM event WHERE tenant_id = :tenant) ON CONFLICT (tenant_id) DO NOTHING"
)
_ADVANCE = (
    update(EventCounter).where(col(EventCounter.tenant_id) == bindparam("tenant")).values(last=bindparam("position"))
)
# One that was marked before keeps its place.
_MARK = (
    update(Event)
    .where(col(Event.tenant_id) == bindparam("tenant"), col(Event.id) == bindparam("event"))
    .values(published_at=bindparam("at"), sequence=func.coalesce(col(Event.sequence), bindparam("place")))
)


@dataclass(frozen=True, slots=True)
class Unpublished:
    """An event row that is not in the stream yet."""

    tenant_id: str
    id: str
    type: str
    entity_id: str
    envelope: str
    occurred_at: datetime

    @property
    def key(self) -> EventKey:
        return self.tenant_id, self.id


@dataclass(frozen=True, slots=True)
class Outgoing:
    """Events to publish, by their ids; whether `more` may wait, and after which tenant those are to be looked for."""

    events: list[Unpublished]
    more: bool
    after: str


def unpublished(
    connection: Connection, limit: int, *, share: int | None = None, after: str = "", but: Collection[str] = ()
) -> Outgoing:
    """Up to `limit` unpublished events: of each tenant its oldest by id, the same number of each, at most `share`, so
    none waits for what another has queued. Of many tenants those whose names come after `after`; start again from
    the front when that is empty. Of the tenants in `but` nothing.

    Not by a cursor over events: ids become visible out of order.
    """
    tenants = min(_TENANTS_AT_ONCE, limit)
    each = min(limit, share or limit)
    values = {"after": after, "tenants": tenants, "many": limit, "share": each, "but": json.dumps(sorted(but))}
    events = [Unpublished(*row) for row in connection.execute(_TAKE[connection.dialect.name], values)]
    counted = Counter(event.tenant_id for event in events)
    is_full = bool(counted) and max(counted.values()) >= min(each, limit // len(counted))
    is_turn_full = len(counted) == tenants
    return Outgoing(events, is_full or is_turn_full or bool(after), max(counted) if is_turn_full else "")


def mark_published(connection: Connection, keys: Iterable[EventKey], at: datetime) -> None:
    """Take the events out of the outbox; they stay in the log, with the next places in the order of their tenant.

    The tenants' counters are held until the end of the transaction. So whoever sees a place sees all before it, and
    what is published later has a later one: unlike ids, places can be followed without missing any.
    """
    ordered = sorted(keys, key=lambda key: key[1])
    if not ordered:
        return
    last = _take_counters(connection, sorted({tenant_id for tenant_id, _ in ordered}))
    marks: list[dict[str, Any]] = []
    for tenant_id, event_id in ordered:
        last[tenant_id] = place = last.get(tenant_id, 0) + 1
        marks.append({"tenant": tenant_id, "event": event_id, "at": at, "place": place})
    connection.execute(_MARK, marks)
    connection.execute(_ADVANCE, [{"tenant": tenant, "position": position} for tenant, position in last.items()])


def mark_arrived(connection: Connection, keys: Iterable[EventKey], at: datetime, stream: str, last_seq: int) -> None:
    """Mark the events as published, and the stream as acknowledging so far."""
    mark_published(connection, keys, at)
    stream_state.advance(connection, stream, last_seq)


def _take_counters(connection: Connection, tenants: list[str]) -> dict[str, int]:
    found = _last_places(connection, tenants)
    if missing := [tenant_id for tenant_id in tenants if tenant_id not in found]:
        connection.execute(text(_START), [{"tenant": tenant_id} for tenant_id in missing])
        found |= _last_places(connection, missing)
    return found


def _last_places(connection: Connection, tenants: list[str]) -> dict[str, int]:
    return {row.tenant_id: row.last for row in connection.execute(_COUNTERS, {"tenants": tenants})}


def oldest_unpublished_at(connection: Connection) -> datetime | None:
    """When the event that waits longest occurred."""
    oldest: datetime | None = connection.scalar(_OLDEST, {"after": "", "tenants": _ALL})
    return oldest


class EventLogRepository:
    """The events of one tenant, as they were recorded."""

    def __init__(self, session: AsyncSession, tenant_id: str) -> None:
        self._session = session
        self._tenant_id = tenant_id

    async def has_unpublished(self) -> bool:
        """Whether an event is not in the stream yet."""
        statement = select(exists().where(col(Event.tenant_id) == self._tenant_id, _UNPUBLISHED))
        return bool(await self._session.scalar(statement))

    async def envelope(self, event_id: str) -> str | None:
        """The stored text of an event, None when there is no such event."""
        return await self._session.scalar(
            select(col(Event.envelope)).where(col(Event.tenant_id) == self._tenant_id, col(Event.id) == event_id)
        )

    async def add_all(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Store events of the tenant as one statement."""
        await (await self._session.connection()).execute(insert(Event), list(rows))

    async def between(self, since: datetime, until: datetime, after_id: str, limit: int) -> Sequence[tuple[str, str]]:
        """Id and stored text of events that occurred from `since` until `until`, by id, after `after_id`."""
        statement = select(col(Event.id), col(Event.envelope)).where(
            col(Event.tenant_id) == self._tenant_id,
            col(Event.occurred_at) >= since,
            col(Event.occurred_at) < until,
            col(Event.id) > max(after_id, _first_id(since)),
        )
        rows = await self._session.execute(statement.order_by(col(Event.id)).limit(limit))
        return [(id_, envelope) for id_, envelope in rows]


def _first_id(moment: datetime) -> str:
    """An id before all those that were made at a moment or later. A UUIDv7 (RFC 9562) begins with its milliseconds;
    clocks differ by a little."""
    milliseconds = max(0, int(moment.timestamp() * 1000) - _CLOCKS_DIFFER_MS)
    return f"evt_{milliseconds:012x}"
