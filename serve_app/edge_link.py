"""What the edges hear and tell over NATS: whose rights changed, whose events were published, and how much of
the rate limits is used up."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Final

import orjson
import structlog
from nats.aio.client import Client as NatsClient
from nats.aio.msg import Msg
from nats.errors import Error as NatsError

from eventing.events import identity, tenancy
from eventing.settings import EventingSettings
from eventing.subjects import EDGE_TALLY, NUDGE_PUBLISHED, event_filter
from serve_app.edge.deployment import Edge
from serve_app.edge.limits import TELL_S
from serve_app.link import Link, Loop

log = structlog.get_logger(__name__)

_CHANGES_RIGHTS: Final = (
    identity.TenantUpdated,
    identity.UserUpdated,
    identity.PasswordChanged,
    identity.SessionRevoked,
    identity.FormGranted,
    identity.FormGrantRevoked,
    identity.ApiKeyRevoked,
    tenancy.TenantSuspended,
    tenancy.TenantResumed,
    tenancy.TenantDeleted,
)


class EdgeLink:
    """Keeps one edge in step with the rest. Hints only: without NATS the edge forgets within a second by itself, and
    its rate limits count what it admits alone."""

    def __init__(self, settings: EventingSettings, edge: Edge) -> None:
        self._edge = edge
        self._name = secrets.token_hex(8)
        self._link = Link(settings, "edge", self._attached)

    async def stop(self) -> None:
        """Close the connection."""
        await self._link.stop()

    @asynccontextmanager
    async def _attached(self, client: NatsClient) -> AsyncIterator[Sequence[Loop]]:
        for fact in _CHANGES_RIGHTS:
            await client.subscribe(event_filter(fact.type), cb=self._on_change)
        await client.subscribe(EDGE_TALLY, cb=self._on_tally)
        await client.subscribe(NUDGE_PUBLISHED, cb=self._on_published)

        async def tell() -> None:
            await self._tell(client)

        yield (tell,)

    async def _on_change(self, message: Msg) -> None:
        tenant_id = message.subject.split(".")[1]
        self._edge.changes.note(tenant_id)
        self._edge.live.recheck(tenant_id)

    async def _on_published(self, message: Msg) -> None:
        try:
            self._edge.live.wake(str(tenant_id) for tenant_id in orjson.loads(message.data))
        except (ValueError, TypeError):
            log.warning("nudge is not readable")

    async def _on_tally(self, message: Msg) -> None:
        try:
            sender, tally = orjson.loads(message.data)
            if sender != self._name:
                self._edge.limits.heard((str(key), int(amount)) for key, amount in tally)
        except (ValueError, TypeError):
            log.warning("tally is not readable")

    async def _tell(self, client: NatsClient) -> None:
        while True:
            await self._edge.limits.anything_admitted()
            await asyncio.sleep(TELL_S)
            if not client.is_connected:
                continue
            try:
                await client.publish(EDGE_TALLY, orjson.dumps([self._name, self._edge.limits.admitted()]))
            except NatsError as error:
                log.info("tally not sent", error=str(error) or type(error).__name__)
