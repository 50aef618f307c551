"""I2, I4: workers that are killed while they send lose no delivery, and repeat one only under the same id."""

import asyncio
import os
import signal
import sys
from collections import Counter
from datetime import timedelta

from db.models.webhooks import WebhookDelivery
from db.session import Database
from db.types import utc_now
from deployments.kit.vault import Vault
from deployments.webhooks.contracts import CreateWebhook
from deployments.webhooks.deployment import Webhooks
from tests.deployments.local_http import answer, serving
from tests.deployments.webhooks.lanes import happen
from tests.eventing.harness import eventually, rows
from tests.factories import make_tenant

WORKER = """
import asyncio, sys
from db.session import Database
from db.settings import DatabaseSettings
from deployments.kit.egress import Egress
from deployments.kit.vault import Vault
from deployments.webhooks import handlers
from eventing.jobs import JobRunner

async def main():
    database = Database(DatabaseSettings(url=sys.argv[1]))
    egress = Egress(("127.0.0.0/8",), keep_s=5)
    kinds = handlers.job_kinds(database, Vault("a secret key of the platform, 32+"), egress)
    await JobRunner(database, {"default": 8, "batch": 1}, kinds, lease_s=1.0, poll_s=0.1).run()

asyncio.run(main())
"""
VAULT = Vault("a secret key of the platform, 32+")
EACH = 60


async def test_killed_workers_lose_nothing(database: Database) -> None:
    """Twice kill -9, of two tenants' deliveries: each arrives, with its tenant's id; none is left behind."""
    webhooks = Webhooks(database, VAULT)
    heard: Counter[str] = Counter()

    async def slowly(writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.02)
        await answer("200 OK")(writer)

    async def start() -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            sys.executable, "-c", WORKER, database.settings.url, stdout=asyncio.subprocess.DEVNULL
        )

    async with serving(slowly) as server:
        url = f"http://127.0.0.1:{server.port}/"
        wanted: set[str] = set()
        for tenant_id in ("acme", "globex"):
            owner = await make_tenant(database, tenant_id)
            await webhooks.create(owner, CreateWebhook(url=url + tenant_id, events=["*"], max_concurrency=4))
            wanted |= set(await happen(database, EACH, tenant_id=tenant_id))
        worker = await start()
        try:
            for count in (20, 70):

                async def has_heard(count: int = count) -> bool:
                    return len(server.requests) >= count

                await eventually(has_heard)
                os.kill(worker.pid, signal.SIGKILL)
                assert await worker.wait() == -signal.SIGKILL
                worker = await start()

            async def all_delivered() -> bool:
                return {row.state for row in await rows(database, WebhookDelivery)} == {"delivered"}

            await eventually(all_delivered)
        finally:
            worker.terminate()
            await worker.wait()
    for request in server.requests:
        heard[request.headers["webhook-id"]] += 1
        assert f'"tenant_id":"{request.line.split()[1][1:]}"'.encode() in request.body
    assert set(heard) == wanted
    assert len(wanted) == 2 * EACH
    # A kill can repeat what was under way on two lanes of four each, and what was not written yet.
    assert sum(heard.values()) <= 2 * EACH + 2 * 2 * 8
    assert all(row.finished_at > utc_now() - timedelta(minutes=5) for row in await rows(database, WebhookDelivery))
