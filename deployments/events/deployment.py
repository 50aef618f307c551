"""The door of events: opens the unit of work, calls the rules, returns contracts."""

from deployments.events import service
from deployments.events.contracts import Event, EventDetail, EventTypes, FindEvents, FollowEvents, StreamEvents, Stretch
from deployments.events.recovery import EventRecovery
from deployments.kit.contract import Page
from deployments.kit.principal import Principal


class Events(EventRecovery):
    """What happened in a tenant; satisfies `EventsApi`."""

    async def types(self, principal: Principal) -> EventTypes:
        return service.types(principal)

    async def list_events(self, principal: Principal, query: FindEvents, cursor: str | None, limit: int) -> Page[Event]:
        async with self._database.read(principal.tenant_id) as unit:
            return await service.list_events(unit, principal, query, cursor, limit)

    async def get(self, principal: Principal, event_id: str) -> EventDetail:
        async with self._database.read(principal.tenant_id) as unit:
            return await service.get(unit, principal, event_id)

    async def begin(self, principal: Principal, wanted: StreamEvents) -> int:
        async with self._database.read(principal.tenant_id) as unit:
            return await service.begin(unit, principal, wanted)

    async def follow(self, principal: Principal, stretch: FollowEvents) -> Stretch:
        async with self._database.read(principal.tenant_id) as unit:
            return await service.follow(unit, principal, stretch)
