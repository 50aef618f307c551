"""The rules of events: what kinds there are, who may see which, and how they are followed."""

from collections.abc import Iterable
from functools import cache
from typing import Final

import structlog

from db.repositories.event_history import EventHistoryRepository, EventQuery
from db.repositories.outbox import EventLogRepository
from db.session import UnitOfWork
from deployments.events.contracts import (
    CloudEvent,
    Event,
    EventDetail,
    EventType,
    EventTypes,
    FindEvents,
    FollowEvents,
    StreamEvents,
    Stretch,
)
from deployments.events.errors import EventHasNoPlace, EventNotFound
from deployments.events.showing import READ, may_see, shown, view_of
from deployments.kit.contract import Page, PageMeta
from deployments.kit.errors import Fault, Forbidden, Invalid
from deployments.kit.pagination import decode_cursor, encode_cursor
from deployments.kit.principal import Principal
from eventing.events import envelope
from eventing.events.catalogue import CATALOGUE, DELIVERED_TYPES, TYPES
from eventing.events.envelope import EventData
from eventing.events.example import example_of
from eventing.events.schema import schema_of

_SORT: Final = "-id"

_log = structlog.get_logger(__name__)


def types(principal: Principal) -> EventTypes:
    """Every kind of event, by name, for whoever may see events of the tenant or of one of its forms."""
    if not principal.forms_granted(READ):
        principal.require(READ)
    return known_types()


@cache
def known_types() -> EventTypes:
    """Every kind of event, by name."""
    return EventTypes(data=[_described(kind) for kind in sorted(CATALOGUE, key=lambda kind: kind.type)])


def require_known(types: Iterable[str], pointer: str) -> None:
    """Raise Invalid with every name that is no type's."""
    if unknown := sorted(set(types) - TYPES):
        raise Invalid(
            "There are no such events.",
            faults=tuple(Fault(pointer, "event.unknown_type", f"there is no event {name!r}") for name in unknown),
        )


async def list_events(
    unit: UnitOfWork, principal: Principal, query: FindEvents, cursor: str | None, limit: int
) -> Page[Event]:
    """The events that were asked for, newest first, of the forms that the principal may see events of."""
    if query.types is not None:
        require_known(query.types, "/type")
    before = decode_cursor(cursor, _SORT, 1)[0] if cursor else None
    wanted = EventQuery(
        types=query.types,
        forms=_forms(principal, query.form_id),
        entity_id=query.entity_id,
        since=query.since,
        until=query.until,
    )
    rows = await EventHistoryRepository(unit.session, unit.tenant).page(wanted, before, limit + 1)
    more = encode_cursor(_SORT, [rows[limit - 1][0]]) if len(rows) > limit else None
    events = [_read(text) for _, text in rows[:limit]]
    return Page[Event](
        data=[shown(event, view_of(principal, event.form_id)) for event in events if event is not None],
        meta=PageMeta(limit=limit, next_cursor=more),
    )


async def get(unit: UnitOfWork, principal: Principal, event_id: str) -> EventDetail:
    """One event. Raises EventNotFound also where it is not for the principal."""
    if not principal.forms_granted(READ):
        principal.require(READ)
    text = await EventLogRepository(unit.session, unit.tenant).envelope(event_id)
    event = _read(text) if text is not None else None
    if event is None or not may_see(principal, event.form_id):
        raise EventNotFound
    cloudevent = CloudEvent(
        specversion="1.0",
        id=event.id,
        source=f"/tenants/{event.tenant_id}",
        type=event.type,
        subject=event.entity_id,
        time=event.timestamp,
        datacontenttype="application/json",
        traceparent=event.traceparent or None,
    )
    seen = shown(event, view_of(principal, event.form_id))
    return EventDetail(**{name: getattr(seen, name) for name in Event.model_fields}, cloudevent=cloudevent)


async def begin(unit: UnitOfWork, principal: Principal, wanted: StreamEvents) -> int:
    """The place from which the principal follows. Raises Invalid, Forbidden, and EventHasNoPlace for an `after` that
    is not among the tenant's published events."""
    if wanted.types is not None:
        require_known(wanted.types, "/types")
    _forms(principal, wanted.form_id)
    history = EventHistoryRepository(unit.session, unit.tenant)
    if wanted.after is None:
        return await history.last_place()
    found = await history.place_of(wanted.after)
    if found is None:
        raise EventHasNoPlace
    return found


async def follow(unit: UnitOfWork, principal: Principal, wanted: FollowEvents) -> Stretch:
    """The next published events; nothing that is published later comes before the `last` of the answer."""
    if principal.kind != "system":
        raise Forbidden
    history = EventHistoryRepository(unit.session, unit.tenant)
    # Before the rows: what is published in between belongs to the next stretch.
    end = await history.last_place()
    if wanted.until is not None:
        end = min(end, wanted.until)
    if end <= wanted.after:
        return Stretch(events=[], last=wanted.after, more=False)
    query = EventQuery(types=wanted.types, forms=wanted.forms)
    rows = await history.following(query, wanted.after, end, wanted.limit)
    more = len(rows) == wanted.limit
    read = [(place, _read(text)) for place, text in rows]
    return Stretch(
        events=[(place, event) for place, event in read if event is not None],
        last=rows[-1][0] if more else end,
        more=more,
    )


def _forms(principal: Principal, form_id: str | None) -> frozenset[str] | None:
    """The forms to look at, None for all and what belongs to none. Raises Forbidden."""
    if form_id is not None:
        principal.require(READ, form_id)
        return frozenset({form_id})
    if principal.may(READ):
        return None
    granted = principal.forms_granted(READ)
    if not granted:
        principal.require(READ)
    return granted


def _read(text: str) -> Event | None:
    """The event of a stored text, None for what is none: the relay keeps that as a dead letter."""
    try:
        event = envelope.Event.decode(text)
    except ValueError as error:
        _log.warning("event cannot be read", error=str(error)[:200])
        return None
    return Event.model_construct(
        id=event.id,
        type=event.type,
        version=event.version,
        timestamp=event.timestamp,
        tenant_id=event.tenant_id,
        entity_id=event.entity_id,
        form_id=event.form_id,
        actor=event.actor,
        request_id=event.origin.request_id,
        traceparent=event.origin.traceparent,
        address=event.origin.address,
        user_agent=event.origin.user_agent,
        data=event.data,
        hidden=[],
    )


def _described(kind: type[EventData]) -> EventType:
    return EventType(
        type=kind.type,
        version=kind.version,
        description=" ".join((kind.__doc__ or "").split()),
        audited=kind.audited,
        delivered=kind.type in DELIVERED_TYPES,
        data_schema=schema_of(kind),
        example=example_of(kind),
    )
