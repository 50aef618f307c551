"""The Serve deployment without a route whose replicas publish and consume events and run jobs (architecture D5).

Serve imports this once more to build the application, in a process that ends then: what the jobs and reactions need,
which is most of the platform, is imported by the replica.
"""

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial

import structlog

from db.repositories.job_claims import depths_of
from db.types import utc_now
from deployments.jobs.scheduler import Scheduler
from deployments.kit.egress import Egress
from deployments.models.contracts import Faculty
from eventing.consumer import Consumer
from eventing.errors import ConnectFailed
from eventing.jobs import JobRunner, jobs_topic
from eventing.outbox import EVENTS_TOPIC
from eventing.relay import Relay
from eventing.streams import EVENTS, forget_events, is_consumed, last_message, purge_tenant
from serve_app.consumers import CONSUMERS
from serve_app.contexts import models_at
from serve_app.error_tracking import open_tracker
from serve_app.logging import configure
from serve_app.monitor import Monitor
from serve_app.replica_port import keep_to_node
from serve_app.runtime import Runtime, Transport
from serve_app.settings import Settings
from serve_app.starting import collect_rarely, without_collections
from serve_app.tracing.opening import open_tracer

log = structlog.get_logger(__name__)

_STALE_S = 120.0
_KEPT_S = 15.0
_NICENESS = 15
_LAG_S = 2.0
# A job can wait; it is tried again when that is not enough.
_MODELS_DEADLINE_S = 60.0


class Worker:
    """Runs the named subscriptions, and jobs of the named queues with so many at once."""

    async def __init__(  # type: ignore[misc]  # Serve awaits it
        self,
        settings: Settings,
        subscription_names: tuple[str, ...],
        queues: dict[str, int],
        models: Mapping[Faculty, str] | None = None,
    ) -> None:
        collect_rarely()
        with without_collections():
            from deployments.analytics.metrics.keeping import MetricKeeper
            from deployments.responses.query.indexing import AnswerIndexer
            from serve_app.schedulable import SCHEDULABLE
            from serve_app.subscriptions import job_kinds

        self._tracker = open_tracker(settings, "worker")
        keep_to_node()
        configure(settings.log_level, "worker", self._tracker)
        self._tracer = open_tracer(settings, "worker")
        # Effects may lag behind when the processors are busy; whoever waits for an answer goes first.
        os.setpriority(os.PRIO_PROCESS, 0, _NICENESS)
        self._settings = settings
        self._subscription_names = subscription_names
        self._queues = queues
        # Waiting for a turn counts as time of a request: more than all lanes of this process have at once.
        self._egress = Egress(
            settings.egress_networks(), ports=settings.egress_port_numbers(), max_connections=500, keep_s=_KEPT_S
        )
        self._consumers: list[Consumer] = []
        self._transport: Transport | None = None
        self._relay: Relay | None = None
        self._lag = 0.0
        self._runtime = Runtime(settings, "worker", self._attach, yields=True, tracer=self._tracer)
        self._models = models_at(models, settings, _MODELS_DEADLINE_S, self._tracer)
        kinds = job_kinds(
            self._runtime.database, self._egress, settings, self._purge, _Stream(self), self._models, self._tracer
        )
        places = settings.job_policy.places(queues)
        self._jobs = JobRunner(self._runtime.database, places, kinds) if queues else None
        self._running = asyncio.create_task(self._jobs.run()) if self._jobs else None
        # Where the batch work is done; several make no trouble.
        self._indexer = AnswerIndexer(self._runtime.database) if "batch" in queues else None
        self._indexing = asyncio.create_task(self._indexer.run()) if self._indexer else None
        # Beside the consumer of its events, for what none tells of.
        self._keeper = MetricKeeper(self._runtime.database) if "analytics" in subscription_names else None
        self._keeping = asyncio.create_task(self._keeper.run()) if self._keeper else None
        # One leads, and the next one when that is gone.
        self._monitor = Monitor(self._runtime.database, settings, tuple(CONSUMERS), lambda: self._transport)
        self._monitoring = asyncio.create_task(self._monitor.run())
        self._scheduler = Scheduler(self._runtime.database, SCHEDULABLE) if queues else None
        self._scheduling = asyncio.create_task(self._scheduler.run()) if self._scheduler else None

    def check_health(self) -> None:
        """Raise when a loop has stopped turning, so that the controller replaces this replica."""
        self._runtime.check()
        if self._running is not None and self._running.done():
            raise RuntimeError("the job runner has stopped")
        if self._indexing is not None and self._indexing.done():
            raise RuntimeError("the indexer of answers has stopped")
        if self._keeping is not None and self._keeping.done():
            raise RuntimeError("the keeper of metrics has stopped")
        if self._monitoring.done():
            raise RuntimeError("the monitor has stopped")
        if self._scheduling is not None and self._scheduling.done():
            raise RuntimeError("the scheduler has stopped")
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
        await self._monitor.stop()
        self._monitoring.cancel()
        await asyncio.wait({self._monitoring})
        # Each first waits for the events that it asked for last.
        await asyncio.gather(*(consumer.stop() for consumer in self._consumers))
        if self._scheduler is not None:
            await self._scheduler.stop()
        if self._jobs is not None:
            await self._jobs.stop()
        if self._indexer is not None:
            await self._indexer.stop()
        if self._keeper is not None:
            await self._keeper.stop()
        if self._relay is not None:
            await self._relay.stop()
        await self._runtime.stop()
        await self._egress.aclose()
        await self._models.close()
        if self._tracer is not None:
            await self._tracer.stop()
        if self._tracker is not None:
            await self._tracker.close()

    async def _attach(self, transport: Transport) -> list[Callable[[], Awaitable[None]]]:
        from serve_app.subscriptions import subscriptions
        from serve_app.tracing.work import publications, traced_subscriptions

        database, tracer = self._runtime.database, self._tracer
        self._transport = transport
        watch = None if tracer is None else publications(tracer)
        relay = self._relay = Relay(database, transport.client, transport.settings, watch=watch)
        transport.nudges.wake(EVENTS_TOPIC, relay.nudge)
        declared = subscriptions(database, self._settings)
        self._consumers = [
            Consumer(database, transport.client, transport.settings, subscription)
            for subscription in (declared if tracer is None else traced_subscriptions(declared, tracer))
            if subscription.name in self._subscription_names
        ]
        if self._jobs is not None:
            for queue in self._queues:
                transport.nudges.wake(jobs_topic(queue), partial(self._jobs.nudge, queue))
        return [relay.run, *(consumer.run for consumer in self._consumers)]

    async def _purge(self, tenant_id: str) -> int:
        """Remove a tenant's messages from the event stream; how many. Raises EventingError."""
        transport = self.connected()
        return await purge_tenant(transport.client, tenant_id, transport.settings.publish_timeout_s)

    def connected(self) -> Transport:
        """The way to NATS. Raises ConnectFailed while there is none."""
        if self._transport is None:
            raise ConnectFailed("NATS is away")
        return self._transport

    async def _due_jobs(self) -> int:
        view = partial(depths_of, queues=self._queues, now=utc_now())
        return sum(depth.waiting for depth in (await self._runtime.database.view(view)).values())

    async def _pending_events(self) -> int:
        if self._transport is None:
            return 0
        stream = self._transport.client.jetstream(timeout=_LAG_S)
        waiting = [await stream.consumer_info(EVENTS, name) for name in self._subscription_names]
        return sum(info.num_pending or 0 for info in waiting)


class _Stream:
    """The event stream as the erasure of a person needs it."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker

    async def last(self) -> int:
        transport = self._worker.connected()
        return await last_message(transport.client, transport.settings.publish_timeout_s)

    async def is_consumed(self, number: int) -> bool:
        transport = self._worker.connected()
        return await is_consumed(transport.client, number, transport.settings.publish_timeout_s)

    async def forget(self, tenant_id: str, types: Sequence[str], number: int) -> int:
        transport = self._worker.connected()
        return await forget_events(transport.client, tenant_id, types, number, transport.settings.publish_timeout_s)
