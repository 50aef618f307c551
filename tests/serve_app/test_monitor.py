"""E7: what does not work is seen and told while the platform goes on; on both databases."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from db.models.events import ComponentState, DeadLetter, FailedEvent
from db.models.events import Event as EventRow
from db.session import Database
from db.settings import DatabaseSettings
from db.types import utc_now
from deployments.events.contracts import EventsApi
from deployments.events.deployment import Events
from deployments.events.measuring import LAG
from eventing.nudges import Nudges
from eventing.relay import Relay
from eventing.streams import EVENTS, ConsumerSpec, ensure_consumer
from serve_app import monitor as monitoring
from serve_app.monitor import Monitor
from serve_app.runtime import Transport
from tests.eventing.harness import empty_stream, eventually, record_facts, rows, running
from tests.eventing.test_relay import all_published
from tests.serve_app.one_process import NOWHERE, one_process, settings_for


@pytest.fixture
def settings(database_settings: DatabaseSettings, tmp_path: Path) -> Any:
    return settings_for(tmp_path, database_settings, smtp_url="smtp://127.0.0.1:1")


@pytest.fixture
async def silent_mail() -> AsyncIterator[str]:
    """The address of a server that takes connections."""
    server = await asyncio.start_server(lambda _reader, writer: writer.close(), "127.0.0.1", 0)
    yield f"smtp://user:secret@127.0.0.1:{server.sockets[0].getsockname()[1]}"
    server.close()
    await server.wait_closed()


async def told(events: EventsApi) -> dict[str, bool]:
    return {part.name: part.healthy for part in (await events.measure()).components}


async def test_everything_is_looked_at_and_told(database: Database, settings: Any) -> None:
    monitor = Monitor(database, settings, ("mail",), lambda: None, every_s=0.05)
    events = Events(database)
    assert await told(events) == {"workers": False}
    async with running(monitor):
        await eventually(lambda: _is_known(events))
    assert await told(events) == {
        "consumers": True,
        "disk": True,
        "events": True,
        "nats": False,
        "smtp": False,
        "workers": True,
    }
    details = {row.name: row.detail for row in await rows(database, ComponentState)}
    assert details["nats"] == "NATS is away"
    assert details["smtp"].startswith("the mail server does not answer")


async def test_what_nobody_has_looked_at_lately_is_not_told(database: Database, settings: Any) -> None:
    monitor = Monitor(database, settings, (), lambda: None, every_s=0.05)
    async with running(monitor):
        await eventually(lambda: _is_known(Events(database)))
    async with database.unscoped_write() as unit:
        await unit.session.execute(update(ComponentState).values(checked_at=utc_now().replace(year=2020)))
    assert await told(Events(database)) == {"workers": False}


async def test_it_recovers_by_itself(
    database: Database, settings: Any, nats_server: str, silent_mail: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """NATS, mail and room are back: nobody has to say so. An event that waits too long is trouble."""
    settings = settings.model_copy(update={"smtp_url": settings.smtp_url.__class__(silent_mail)})
    monkeypatch.setattr(monitoring, "_LATE_S", 0.0)
    monkeypatch.setattr(monitoring, "_FREE_BYTES", 10**18)
    await record_facts(database, "acme", "frm_1")
    connection: Transport | None = None
    monitor = Monitor(database, settings, (), lambda: connection)
    before = {part.name: part.healthy for part in await monitor.look()}
    assert before == {"nats": False, "consumers": True, "events": False, "disk": False, "smtp": True}
    monkeypatch.setattr(monitoring, "_FREE_BYTES", 0)
    async with empty_stream(nats_server) as transport:
        connection = Transport(transport.client, Nudges(database, transport.client), transport.settings)
        async with running(Relay(database, transport.client, transport.settings)):
            await eventually(lambda: all_published(database))
        assert all(part.healthy for part in await monitor.look())


async def test_what_a_consumer_has_in_hand_is_not_done(database: Database, settings: Any, nats_server: str) -> None:
    """Only what was acknowledged is done."""
    async with empty_stream(nats_server) as transport:
        await record_facts(database, "acme", "frm_1", "frm_2", "frm_3")
        async with running(Relay(database, transport.client, transport.settings)):
            await eventually(lambda: all_published(database))
        stream = transport.client.jetstream()
        await ensure_consumer(stream, ConsumerSpec("mail"))
        await (await stream.pull_subscribe_bind("mail", EVENTS)).fetch(1, timeout=5)
        connection = Transport(transport.client, Nudges(database, transport.client), transport.settings)
        found = await Monitor(database, settings, ("mail",), lambda: connection).look()
    assert {part.name: part.figures for part in found}[LAG] == {"mail": 3}


async def test_what_waits_is_counted_by_consumer(database: Database) -> None:
    facts = await record_facts(database, "acme", "frm_1", "frm_2")
    async with database.write("acme") as unit:
        for fact in facts:
            unit.session.add(
                FailedEvent(
                    tenant_id="acme",
                    consumer="mail",
                    event_id=fact.id,
                    entity_id=fact.entity_id,
                    attempts=1,
                    error="no",
                    next_attempt_at=utc_now(),
                )
            )
        unit.session.add(
            DeadLetter(
                tenant_id="acme",
                id="dlq_1",
                consumer="files",
                event_id="evt_1",
                event_type="form.deleted",
                reason="no",
                attempts=8,
                envelope="",
                created_at=utc_now(),
            )
        )
    measures = await Events(database).measure()
    assert [(each.consumer, each.waiting, each.dead_letters) for each in measures.consumers] == [
        ("files", 0, 1),
        ("mail", 2, 0),
    ]
    assert 0 < measures.oldest_unpublished_s < 60
    async with database.unscoped_write() as unit:
        await unit.session.execute(update(EventRow).values(published_at=utc_now()))
    assert (await Events(database).measure()).oldest_unpublished_s == 0


async def test_readiness_says_that_nats_is_away(
    sqlite_settings: DatabaseSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with one_process(settings_for(tmp_path, sqlite_settings, NOWHERE), monkeypatch) as platform:
        client = platform.client()

        async def is_told() -> bool:
            answer = await client.get("/health/ready")
            assert answer.status_code == 200
            return "nats" in answer.json()["degraded"]

        await eventually(is_told)


async def _is_known(events: Events) -> bool:
    return "nats" in await told(events)
