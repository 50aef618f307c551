"""T1: nothing leaves the platform for a suspended tenant, and everything leaves once it is resumed."""

from pathlib import Path

import pytest
from sqlalchemy import update
from sqlmodel import col

from db.models.events import ProcessedEvent
from db.models.identity import Tenant
from db.models.jobs import Job
from db.session import Database
from db.settings import DatabaseSettings
from db.types import utc_now
from eventing.effects import Effects
from eventing.settings import EventingSettings
from eventing.subscription import Subscription
from serve_app.subscriptions import QUEUES, SUBSCRIPTIONS
from serve_app.worker import Worker
from tests.deployments.local_http import answer, serving
from tests.eventing.harness import count, empty_stream, eventually, is_true, record_facts, rows
from tests.factories import ANSWERS, PARTY, make_tenant
from tests.serve_app.one_process import one_process, replica, settings_for

SUBMISSIONS = 3
WELCOME = 1
"""The letter to who signed up, which verifies their address."""


async def _set_status(database: Database, status: str) -> None:
    async with database.unscoped_write() as unit:
        await unit.session.execute(update(Tenant).where(col(Tenant.id) == "acme").values(status=status))


async def test_effects_wait_for_the_end_of_a_suspension(
    database: Database,
    database_settings: DatabaseSettings,
    tmp_path: Path,
    nats_server: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """T1: events are consumed, but what they lead to is jobs, and those are held: nothing is lost, nothing twice."""
    async with empty_stream(nats_server):
        pass
    settings = settings_for(tmp_path, database_settings, nats_server)
    async with (
        one_process(settings, monkeypatch, works=False) as platform,
        serving(answer("204 No Content")) as receiver,
    ):
        client, neighbour = await platform.sign_up(), await platform.sign_up("other")
        for each in (client, neighbour):
            tenant = "acme" if each is client else "other"
            recipients = {"send_notification": True, "notification_recipients": [f"team@{tenant}.example"]}
            form = {"slug": "party", "title": "Party", "definition": PARTY, "settings": recipients}
            form_id = (await each.post("/api/v1/forms", json=form)).json()["id"]
            await each.post(f"/api/v1/forms/{form_id}/publish")
            hook = {"url": f"http://127.0.0.1:{receiver.port}/{tenant}", "events": ["response.submitted"]}
            assert (await each.post("/api/v1/webhooks", json=hook)).status_code == 201
            for _ in range(SUBMISSIONS):
                submitted = await each.post(f"/api/v1/public/{tenant}/party/responses", json={"answers": ANSWERS})
                assert submitted.status_code == 201
        await _set_status(database, "suspended")
        mail = tmp_path / "mail"

        def left(tenant: str) -> int:
            delivered = sum(f"/{tenant} " in request.line for request in receiver.requests)
            mailed = sum(f"team@{tenant}.example".encode() in path.read_bytes() for path in mail.glob("*.eml"))
            return delivered + mailed

        async def consumed() -> bool:
            # Figures keep an inbox row for a form and not for each event.
            mine = (col(ProcessedEvent.tenant_id) == "acme", col(ProcessedEvent.consumer) != "analytics")
            return await count(database, ProcessedEvent, *mine) == 2 * SUBMISSIONS

        async with replica(Worker, settings, tuple(sorted(SUBSCRIPTIONS)), dict.fromkeys(sorted(QUEUES), 4)):
            await eventually(consumed)
            await eventually(lambda: is_true(lambda: left("other") == 2 * SUBMISSIONS))
            assert left("acme") == 0
            held = [job.state for job in await rows(database, Job) if job.tenant_id == "acme"]
            # A job for each mail, and one for all that goes to the same webhook.
            assert held == ["queued"] * (SUBMISSIONS + 1 + WELCOME)

            await _set_status(database, "active")

            await eventually(lambda: is_true(lambda: left("acme") == 2 * SUBMISSIONS))

            async def all_done() -> bool:
                return {job.state for job in await rows(database, Job)} == {"succeeded"}

            await eventually(all_done)
        assert left("acme") == left("other") == 2 * SUBMISSIONS
        assert len({request.headers["webhook-id"] for request in receiver.requests}) == 2 * SUBMISSIONS


async def test_events_of_a_tenant_that_is_being_erased_leave_nothing(database: Database) -> None:
    """T7: an event that was on its way must not put a row behind the erasure."""
    await make_tenant(database, "acme")
    await make_tenant(database, "other")
    handled: list[str] = []

    async def handle(_unit: object, events: object) -> None:
        handled.extend(event.tenant_id for event in events)  # type: ignore[attr-defined]

    events = [*await record_facts(database, "acme", "frm_1"), *await record_facts(database, "other", "frm_1")]
    effects = Effects(database, Subscription("test", ("form.deleted",), handle), EventingSettings(nats_url="nats://x"))
    async with database.unscoped_write() as unit:
        gone = {"status": "deleted", "erase_after": utc_now()}
        await unit.session.execute(update(Tenant).where(col(Tenant.id) == "acme").values(**gone))

    await effects.apply(events)

    assert handled == ["other"]
    assert [row.tenant_id for row in await rows(database, ProcessedEvent)] == ["other"]
    assert (effects.counters.handled, effects.counters.dropped) == (1, 1)
