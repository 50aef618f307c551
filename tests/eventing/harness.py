"""What the tests of delivery share: a connection to an empty stream, facts to record, and waiting for a state."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

from nats.aio.client import Client as NatsClient
from nats.js.errors import NotFoundError
from sqlalchemy import func, inspect, select

from db.session import Database
from eventing.connection import connect
from eventing.errors import DeclarationRejected
from eventing.events.envelope import Event, Origin
from eventing.events.forms import FormDeleted
from eventing.outbox import record
from eventing.settings import EventingSettings
from eventing.streams import EVENTS, ensure_stream

DEADLINE_S = 30.0


@dataclass
class Transport:
    """A connected client and the settings it was made from."""

    client: NatsClient
    settings: EventingSettings

    async def stored(self) -> int:
        """How many messages the stream holds."""
        return (await self.client.jetstream().stream_info(EVENTS)).state.messages


@asynccontextmanager
async def empty_stream(url: str, **changes: Any) -> AsyncIterator[Transport]:
    settings = EventingSettings(nats_url=url, **{"poll_interval_s": 0.2, "reconnect_wait_s": 0.1, **changes})
    client = await connect(settings, "test")
    try:
        with suppress(NotFoundError):
            await client.jetstream().delete_stream(EVENTS)
        # The server may still be removing the folder of the one before.
        await eventually(lambda: _is_declared(client, settings))
        yield Transport(client, settings)
    finally:
        await client.close()


async def _is_declared(client: NatsClient, settings: EventingSettings) -> bool:
    with suppress(DeclarationRejected):
        await ensure_stream(client.jetstream(), settings)
        return True
    return False


@asynccontextmanager
async def running(thing: Any) -> AsyncIterator[asyncio.Task[None]]:
    """`thing.run()` as a task, stopped at the end."""
    task = asyncio.create_task(thing.run())
    try:
        yield task
    finally:
        await thing.stop()
        task.cancel()
        await asyncio.wait({task})


async def record_facts(database: Database, tenant_id: str, *form_ids: str, origin: Origin | None = None) -> list[Event]:
    """One committed event per form id."""
    async with database.write(tenant_id) as unit:
        return [
            record(unit, FormDeleted(form_id=form_id), actor="usr_1", origin=origin or Origin()) for form_id in form_ids
        ]


async def count(database: Database, table: type[Any], *conditions: Any) -> int:
    async with database.unscoped_read() as unit:
        statement = select(func.count()).select_from(table).where(*conditions)
        return await unit.session.scalar(statement) or 0


async def rows(database: Database, table: type[Any]) -> list[Any]:
    """All rows by their primary key, which for ids of `db.types.new_id` is the order they were made in."""
    async with database.unscoped_read() as unit:
        return list(await unit.session.scalars(select(table).order_by(*inspect(table).primary_key)))


async def is_true(condition: Callable[[], object]) -> bool:
    """A plain condition in the form that `eventually` takes."""
    return bool(condition())


async def eventually(condition: Callable[[], Awaitable[bool]], *, deadline_s: float = DEADLINE_S) -> None:
    """Wait until the condition holds; for states that announce themselves to nobody."""
    async with asyncio.timeout(deadline_s):
        while not await condition():
            await asyncio.sleep(0.02)
