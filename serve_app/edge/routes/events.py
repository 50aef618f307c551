"""Events: what happened in a tenant, and what happens now."""

import re

from pydantic import AwareDatetime, Field

from deployments.events.contracts import Event, EventDetail, EventTypes, FindEvents, StreamEvents
from deployments.kit.contract import Contract, Page
from deployments.kit.errors import Invalid
from serve_app.edge.operations import Exchange, HeaderParameter, Operation, PageQuery, Reply

_READ = "events:read"
_ID = r"^[A-Za-z0-9_]{1,200}$"
_TYPES = "Names of types, separated by commas; every type without it."

LAST_EVENT_ID = HeaderParameter(
    "Last-Event-ID", "Id of the event heard last: the stream begins behind it, and nothing is missing.", _ID
)


class EventPageQuery(PageQuery):
    """Which events, and which page of them."""

    type: str | None = Field(default=None, max_length=4_000, description=_TYPES)
    since: AwareDatetime | None = Field(default=None, description="Not before this time.")
    until: AwareDatetime | None = Field(default=None, description="Before this time.")
    form_id: str | None = Field(default=None, max_length=200, description="Events of this form.")
    entity_id: str | None = Field(default=None, max_length=200, description="What happened to this response, form, ….")


class StreamQuery(Contract):
    """What to listen to."""

    types: str | None = Field(default=None, max_length=4_000, description=_TYPES)
    form_id: str | None = Field(default=None, max_length=200, description="Events of this form.")
    last_event_id: str | None = Field(
        default=None, pattern=_ID, description="As the header of that name, for clients that cannot set one."
    )
    seconds: float | None = Field(
        default=None, gt=0, le=86_400, description="End the stream after so long; without it, it has no end."
    )


def _names(given: str | None) -> frozenset[str] | None:
    return None if given is None else frozenset(name.strip() for name in given.split(","))


async def list_events(x: Exchange) -> Reply:
    query: EventPageQuery = x.query
    wanted = FindEvents(
        types=_names(query.type),
        form_id=query.form_id,
        entity_id=query.entity_id,
        since=query.since,
        until=query.until,
    )
    return Reply(await x.apis.events.list_events(x.principal, wanted, query.cursor, query.limit))


async def get_event(x: Exchange) -> Reply:
    return Reply(await x.apis.events.get(x.principal, x.path["event_id"]))


async def list_types(x: Exchange) -> Reply:
    return Reply(await x.apis.events.types(x.principal))


async def stream_events(x: Exchange) -> Reply:
    query: StreamQuery = x.query
    # The header wins: a browser that connects again sends it to the address that it began with.
    after = x.header("last-event-id") or query.last_event_id
    if after is not None and not re.fullmatch(_ID, after):
        raise Invalid.at("/last_event_id", "event.invalid_id", "Last-Event-ID is not the id of an event")
    wanted = StreamEvents(types=_names(query.types), form_id=query.form_id, after=after)
    return Reply(
        stream=x.live.stream(x.principal, x.renewed, wanted, query.seconds),
        media_type="text/event-stream",
        # Proxies that collect an answer before they pass it on would keep the listener waiting for ever.
        headers=(("cache-control", "no-store, no-transform"), ("x-accel-buffering", "no")),
    )


OPERATIONS = (
    Operation(
        id="list_events",
        method="GET",
        path="/api/v1/events",
        summary="What happened, newest first",
        tag="Events",
        scope=_READ,
        per_form=True,
        handler=list_events,
        query=EventPageQuery,
        response=Page[Event],
    ),
    Operation(
        id="list_event_types",
        method="GET",
        path="/api/v1/events/types",
        summary="Every type of event: what it means, what it carries",
        tag="Events",
        scope=_READ,
        per_form=True,
        handler=list_types,
        response=EventTypes,
    ),
    Operation(
        id="stream_events",
        method="GET",
        path="/api/v1/events/stream",
        summary="What happens, as it happens",
        description="Server-sent events: the `id` of each is the event's, its `event` the type, its `data` the event "
        "as in the list. A stream that breaks is taken up with `Last-Event-ID` without a gap; 410 tells that the event "
        "of that id is not there any more.",
        tag="Events",
        scope=_READ,
        per_form=True,
        handler=stream_events,
        query=StreamQuery,
        headers=(LAST_EVENT_ID,),
        response=str,
        response_media_type="text/event-stream",
        errors=(410,),
    ),
    Operation(
        id="get_event",
        method="GET",
        path="/api/v1/events/{event_id}",
        summary="One event, with its CloudEvents attributes",
        tag="Events",
        scope=_READ,
        per_form=True,
        handler=get_event,
        response=EventDetail,
    ),
)
