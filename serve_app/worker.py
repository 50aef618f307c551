"""The Serve deployment without a route whose replicas publish and consume events and run jobs (architecture D5)."""

import asyncio
import os
import time
from collections.abc import Awaitable, Callable
from functools import partial

import structlog

from db.repositories.job_queue import JobQueueRepository
from db.types import utc_now
from deployments.kit.egress import Egress
from deployments.responses.query.indexing import AnswerIndexer
from eventing.consumer import Consumer
from eventing.errors import ConnectFailed
from eventing.jobs import JobRunner, jobs_topic
from eventing.outbox import EVENTS_TOPIC
from eventing.relay import Relay
from eventing.streams import EVENTS, purge_tenant
from serve_app.logging import configure
from serve_app.runtime import Runtime, Transport
from serve_app.settings import Settings
from serve_app.subscriptions import job_kinds, subscriptions

log = structlog.get_logger(__name__)

_STALE_S = 120.0
_NICENESS = 10
_LAG_S = 2.0


class Worker:
    """Runs the named subscriptions, and jobs of the named queues with so many at once."""

    async def __init__(  # type: ignore[misc]  # Serve awaits it
        self, settings: Settings, subscription_names: tuple[str, ...], queues: dict[str, int]
    ) -> None:
        configure(settings.log_level, "worker")
        # Effects may lag behind when the processors are busy; whoever waits for an answer goes first.
        os.setpriority(os.PRIO_PROCESS, 0, _NICENESS)
        self._settings = settings
        self._subscription_names = subscription_names
        self._queues = queues
        self._egress = Egress(settings.egress_networks())
        self._consumers: list[Consumer] = []
        self._transport: Transport | None = None
        self._relay: Relay | None = None
        self._lag = 0.0
        self._runtime = Runtime(settings, "worker", self._attach)
        kinds = job_kinds(self._runtime.database, self._egress, settings, self._purge)
        self._jobs = JobRunner(self._runtime.database, queues, kinds) if queues else None
        self._running = asyncio.create_task(self._jobs.run()) if self._jobs else None
        # Where the batch work is done; several make no trouble.
        self._indexer = AnswerIndexer(self._runtime.database) if "batch" in queues else None
        self._indexing = asyncio.create_task(self._indexer.run()) if self._indexer else None

    def check_health(self) -> None:
        """Raise when a loop has stopped turning, so that the controller replaces this replica."""
        self._runtime.check()
        if self._running is not None and self._running.done():
            raise RuntimeError("the job runner has stopped")
        if self._indexing is not None and self._indexing.done():
            raise RuntimeError("the indexer of answers has stopped")
        if any(time.monotonic() - consumer.last_progress > _STALE_S for consumer in self._consumers):
            raise RuntimeError("a consumer has stopped turning")

    async def record_autoscaling_stats(self) -> dict[str, float]:
        """The due jobs of its queues and the events that wait for its consumers, for `serve_app.autoscaling`.

        Every replica of a deployment tells of the same. Never raises: what cannot be asked is as it last was.
        """
        try:
            async with asyncio.timeout(_LAG_S):
                self._lag = float(await self._due_jobs() + await self._pending_events())
        except Exception as error:  # noqa: BLE001 - Serve would go without any number
            log.debug("lag is unknown", error=str(error) or type(error).__name__)
        return {"lag": self._lag}

    async def __del__(self) -> None:
        for consumer in self._consumers:
            await consumer.stop()
        if self._jobs is not None:
            await self._jobs.stop()
        if self._indexer is not None:
            await self._indexer.stop()
        if self._relay is not None:
            await self._relay.stop()
        await self._runtime.stop()
        await self._egress.aclose()

    async def _attach(self, transport: Transport) -> list[Callable[[], Awaitable[None]]]:
        database = self._runtime.database
        self._transport = transport
        relay = self._relay = Relay(database, transport.client, transport.settings)
        transport.nudges.wake(EVENTS_TOPIC, relay.nudge)
        self._consumers = [
            Consumer(database, transport.client, transport.settings, subscription)
            for subscription in subscriptions(database, self._settings)
            if subscription.name in self._subscription_names
        ]
        if self._jobs is not None:
            for queue in self._queues:
                transport.nudges.wake(jobs_topic(queue), partial(self._jobs.nudge, queue))
        return [relay.run, *(consumer.run for consumer in self._consumers)]

    async def _purge(self, tenant_id: str) -> int:
        """Remove a tenant's messages from the event stream; how many. Raises EventingError."""
        if self._transport is None:
            raise ConnectFailed("NATS is away")
        client, settings = self._transport.client, self._transport.settings
        return await purge_tenant(client, tenant_id, settings.publish_timeout_s)

    async def _due_jobs(self) -> int:
        if not self._queues:
            return 0
        async with self._runtime.database.unscoped_read() as unit:
            return await JobQueueRepository(unit.session).count_due(list(self._queues), utc_now())

    async def _pending_events(self) -> int:
        if self._transport is None:
            return 0
        stream = self._transport.client.jetstream(timeout=_LAG_S)
        waiting = [await stream.consumer_info(EVENTS, name) for name in self._subscription_names]
        return sum(info.num_pending or 0 for info in waiting)
