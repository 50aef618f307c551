"""Record facts in the transaction of the change that made them true."""

from typing import Any

from db.models.events import Event as EventRow
from db.repositories.audit import Deed
from db.session import UnitOfWork
from db.types import new_id, utc_now
from eventing.events.envelope import Event, EventData, Origin, data_of
from eventing.subjects import change_topic

EVENTS_TOPIC = "events"

CACHED_AREAS = frozenset({"form", "tenant"})
"""The areas of which answers are remembered: their changes are told to every process at once, not by the relay."""


def make_event(fact: EventData, *, tenant_id: str, actor: str, origin: Origin) -> Event:
    """The event of a fact that becomes true now. The id is ours: a client's key must never reach the stream."""
    data = data_of(fact)
    return Event(
        id=new_id("evt"),
        type=fact.type,
        version=fact.version,
        timestamp=utc_now(),
        tenant_id=tenant_id,
        entity_id=data[fact.entity],
        form_id=data.get("form_id"),
        actor=actor,
        origin=origin,
        data=data,
    )


def row_of(event: Event) -> dict[str, Any]:
    """The event's row in the outbox, not published yet."""
    return {
        "tenant_id": event.tenant_id,
        "id": event.id,
        "type": event.type,
        "entity_id": event.entity_id,
        "form_id": event.form_id,
        "envelope": event.encode(),
        "occurred_at": event.timestamp,
        "published_at": None,
        "sequence": None,
    }


def record(unit: UnitOfWork, fact: EventData, *, actor: str, origin: Origin) -> Event:
    """Add the fact to the unit's transaction, and to its audit trail; consumers see it after the commit."""
    event = make_event(fact, tenant_id=unit.tenant, actor=actor, origin=origin)
    unit.session.add(EventRow(**row_of(event)))
    unit.announce(EVENTS_TOPIC)
    if (area := event.type.partition(".")[0]) in CACHED_AREAS:
        unit.announce(change_topic(area, unit.tenant))
    if fact.audited:
        unit.audit(
            Deed(
                at=event.timestamp,
                actor=actor,
                action=event.type,
                entity_id=event.entity_id,
                form_id=event.form_id,
                address=origin.address,
                user_agent=origin.user_agent,
                request_id=origin.request_id,
                details=event.data,
            )
        )
    return event
