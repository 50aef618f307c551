"""L1, Z5: the counter of live figures is killed at each point of its work, and NATS in the midst of it."""

import asyncio
import os
import signal
from pathlib import Path

import pytest

from db.session import Database
from deployments.analytics.metrics.recounting import Recounting
from deployments.responses.deployment import Responses
from eventing.connection import connect
from eventing.relay import Relay
from eventing.server import EmbeddedServer
from eventing.settings import EventingSettings
from tests.deployments.analytics.door import analytics
from tests.deployments.responses.lives import submit
from tests.eventing.harness import eventually, is_true, running
from tests.factories import ANSWERS, make_form, make_tenant
from tests.faults.consumer_process import QUICK
from tests.faults.test_killed_consumer import consumer


@pytest.mark.timeout(300)
async def test_every_submission_is_counted_once(database: Database, tmp_path: Path) -> None:
    """SIGKILL before a piece is counted, inside its transaction, between its commit and the acknowledgement, and of
    nats-server while submissions come in: what is shown then is what a recount finds."""
    acme = await make_tenant(database)
    form = await make_form(database, acme)
    responses, door = Responses(database), analytics(database)

    submitted, over = 0, asyncio.Event()

    async def burst() -> None:
        nonlocal submitted
        while not over.is_set():
            await submit(responses, {**ANSWERS, "score": submitted % 11})
            submitted += 1

    async def shown() -> int:
        return (await door.metrics(acme, form.id, None, None)).submissions

    async def all_shown() -> bool:
        return await shown() >= submitted

    with EmbeddedServer(tmp_path / "nats") as server:
        settings = EventingSettings(nats_url=server.url, **QUICK)
        client = await connect(settings, "test")
        module = "tests.faults.counting_process"
        try:
            async with running(Relay(database, client, settings)):
                submitting = asyncio.create_task(burst())
                for point, number in (("before", 2), ("inside", 3), ("after", 2)):
                    async with consumer(database, server.url, point, number, module=module) as ended:
                        assert ended == -signal.SIGKILL, point
                killed = server.pid
                assert killed is not None
                os.kill(killed, signal.SIGKILL)
                async with consumer(database, server.url, "", module=module):
                    await eventually(lambda: is_true(lambda: server.restarts))
                    over.set()
                    await submitting
                    await eventually(all_shown, deadline_s=60)
        finally:
            await client.close()
    assert await shown() == submitted
    verified = await Recounting(database).verify("acme", form.id)
    assert (verified.responses, verified.wrong) == (submitted, ())
