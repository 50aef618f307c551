"""What crosses the door of events: their types, and events as they were recorded."""

from datetime import datetime
from typing import Any, Protocol

from pydantic import AwareDatetime, Field

from deployments.events.recovery_contracts import EventRecoveryApi
from deployments.kit.contract import Contract, Page
from deployments.kit.principal import Principal


class EventType(Contract):
    """A kind of event."""

    type: str = Field(description="Its name, as in `response.submitted`.")
    version: int = Field(description="Version of `data` that is written today.")
    description: str = Field(description="What it means.")
    audited: bool = Field(description="Whether the audit trail has it too.")
    delivered: bool = Field(description="Whether webhooks can subscribe to it.")
    data_schema: dict[str, Any] = Field(description="JSON Schema (2020-12) of `data`.")
    example: dict[str, Any] = Field(description="`data` of one that might have happened.")


class EventTypes(Contract):
    """Every kind of event there is."""

    data: list[EventType]


class Event(Contract):
    """A fact with its circumstances. What the reader may not see is null, and named in `hidden`."""

    id: str
    type: str
    version: int = Field(description="Version of the type's `data`.")
    timestamp: datetime
    tenant_id: str
    entity_id: str = Field(description="Id of what it happened to.")
    form_id: str | None
    actor: str = Field(description="Id of the person or key behind it, `system:…` for the platform itself.")
    request_id: str = Field(description="Correlation id of the request behind it, if any.")
    traceparent: str = Field(description="W3C trace context of that request, if it had one.")
    address: str | None = Field(description="Where the request came from; for those who may see the audit trail.")
    user_agent: str | None = Field(description="What it was sent with; for those who may see the audit trail.")
    data: dict[str, Any]
    hidden: list[str] = Field(default=[], description="JSON pointers of what is null because it is not for the reader.")


class CloudEvent(Contract):
    """The CloudEvents 1.0 attributes under which the event travels."""

    specversion: str
    id: str
    source: str
    type: str
    subject: str
    time: datetime
    datacontenttype: str
    traceparent: str | None


class EventDetail(Event):
    """An event with its CloudEvents attributes."""

    cloudevent: CloudEvent


class FindEvents(Contract):
    """Which events, newest first; what is not given does not matter."""

    types: frozenset[str] | None = None
    form_id: str | None = None
    entity_id: str | None = None
    since: AwareDatetime | None = None
    until: AwareDatetime | None = None


class StreamEvents(Contract):
    """What somebody wants to hear of: None is everything that they may see. `after` is the event heard last, None for
    what is published from now on."""

    types: frozenset[str] | None = None
    form_id: str | None = None
    after: str | None = None


class FollowEvents(Contract):
    """A stretch of the published events: those behind `after`, up to `until` where that is given."""

    after: int
    until: int | None = None
    types: frozenset[str] | None = None
    forms: frozenset[str] | None = None
    limit: int = Field(ge=1, le=1_000)


class Stretch(Contract):
    """Published events by their places. `events` are whole, with what is not for everybody: see `showing`.

    `last` is the place up to which everything was looked at; with `more` there is something behind it already.
    """

    events: list[tuple[int, Event]]
    last: int
    more: bool


class EventsApi(EventRecoveryApi, Protocol):
    """What happened in a tenant.

    `begin` tells whether the principal may follow, and from where; `follow` is for the platform itself: whoever relays
    a stretch shows each reader their part of it.
    """

    async def types(self, principal: Principal) -> EventTypes: ...

    async def list_events(
        self, principal: Principal, query: FindEvents, cursor: str | None, limit: int
    ) -> Page[Event]: ...

    async def get(self, principal: Principal, event_id: str) -> EventDetail: ...

    async def begin(self, principal: Principal, wanted: StreamEvents) -> int: ...

    async def follow(self, principal: Principal, stretch: FollowEvents) -> Stretch: ...
