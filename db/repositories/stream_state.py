"""What is known of the event stream, over all tenants; see `db.models.events.StreamState`."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from sqlalchemy import ColumnElement, Connection, select, update
from sqlmodel import col

from db.models.events import Event, FailedEvent, ProcessedEvent, StreamState
from db.repositories.upsert import upsert_on

ABANDONED: Final = -1
"""The last sequence of a stream that is to be made anew, whatever is in it."""

_EPOCH: Final = datetime.fromtimestamp(0, UTC)


@dataclass(frozen=True, slots=True)
class Known:
    """The stream as it was last seen."""

    created_at: datetime
    last_seq: int
    needed_since: datetime


@dataclass(frozen=True, slots=True)
class Settled:
    """Consumers that are done with everything that was published before a moment."""

    consumers: Sequence[str]
    before: datetime


@dataclass(frozen=True, slots=True)
class Restored:
    """Events that went back to the outbox. `after` is the last one, None when there are no more."""

    count: int
    after: tuple[str, str] | None


def known(connection: Connection, name: str) -> Known | None:
    """The stream, None when it was never seen."""
    row = connection.execute(
        select(col(StreamState.created_at), col(StreamState.last_seq), col(StreamState.needed_since)).where(
            col(StreamState.name) == name
        )
    ).first()
    return None if row is None else Known(*row)


def remember(connection: Connection, name: str, stream: Known) -> None:
    """Take this for the stream from now on."""
    values = {
        "created_at": stream.created_at,
        "last_seq": stream.last_seq,
        "needed_since": stream.needed_since,
    }
    statement = upsert_on(connection, StreamState).values(name=name, **values)
    connection.execute(statement.on_conflict_do_update(index_elements=["name"], set_=values))


def abandon(connection: Connection, name: str) -> None:
    """The database was put back to an earlier time: what the stream holds and what its consumers have had is of another
    history. Whoever sees it next removes the stream."""
    statement = upsert_on(connection, StreamState).values(
        name=name, created_at=_EPOCH, last_seq=ABANDONED, needed_since=_EPOCH
    )
    connection.execute(statement.on_conflict_do_update(index_elements=["name"], set_={"last_seq": ABANDONED}))


def advance(connection: Connection, name: str, last_seq: int) -> None:
    """Note that the stream has acknowledged so far."""
    mine = col(StreamState.name) == name, col(StreamState.last_seq).between(0, last_seq - 1)
    connection.execute(update(StreamState).where(*mine).values(last_seq=last_seq))


def need_since(connection: Connection, name: str, moment: datetime) -> None:
    """Note that every consumer is done with what was published before the moment."""
    connection.execute(update(StreamState).where(col(StreamState.name) == name).values(needed_since=moment))


def was_published(connection: Connection, since: datetime) -> bool:
    """Whether any event was published at or after `since`."""
    return connection.scalar(select(col(Event.id)).where(col(Event.published_at) >= since).limit(1)) is not None


def publish_again(
    connection: Connection,
    since: datetime | None,
    after: tuple[str, str],
    limit: int,
    settled: Settled | None = None,
) -> Restored:
    """Put up to `limit` events of any tenant back into the outbox that were published at or after `since` (None: all),
    by tenant and id, after `after`. What consumers are `settled` about is entered into their inboxes, so that it has no
    effect that it did not have."""
    key = col(Event.tenant_id), col(Event.id)
    chosen = select(*key, col(Event.published_at)).where(col(Event.published_at).is_not(None), _after(after))
    if since is not None:
        chosen = chosen.where(col(Event.published_at) >= since)
    found = connection.execute(chosen.order_by(*key).limit(limit)).all()
    for tenant_id in {row.tenant_id for row in found}:
        rows = [row for row in found if row.tenant_id == tenant_id]
        ids = [row.id for row in rows]
        if settled is not None:
            _settle(connection, settled, tenant_id, [row.id for row in rows if row.published_at < settled.before])
        mine = col(Event.tenant_id) == tenant_id, col(Event.id).in_(ids)
        connection.execute(update(Event).where(*mine).values(published_at=None))
    last = (found[-1].tenant_id, found[-1].id) if len(found) == limit else None
    return Restored(len(found), last)


def _settle(connection: Connection, settled: Settled, tenant_id: str, ids: Sequence[str]) -> None:
    if not ids:
        return
    waiting = {
        tuple(row)
        for row in connection.execute(
            select(col(FailedEvent.consumer), col(FailedEvent.event_id)).where(
                col(FailedEvent.tenant_id) == tenant_id, col(FailedEvent.event_id).in_(ids)
            )
        )
    }
    rows = [
        {"tenant_id": tenant_id, "consumer": name, "event_id": id_, "generation": "", "processed_at": settled.before}
        for name in settled.consumers
        for id_ in ids
        if (name, id_) not in waiting
    ]
    if rows:
        connection.execute(upsert_on(connection, ProcessedEvent).on_conflict_do_nothing(), rows)


def _after(key: tuple[str, str]) -> ColumnElement[bool]:
    tenant_id, event_id = key
    return (col(Event.tenant_id) > tenant_id) | ((col(Event.tenant_id) == tenant_id) & (col(Event.id) > event_id))
