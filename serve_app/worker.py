"""The Serve deployment without a route whose replicas consume events and run jobs (architecture D5)."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from functools import partial

from deployments.kit.egress import Egress
from eventing.consumer import Consumer
from eventing.jobs import JobRunner, jobs_topic
from serve_app.logging import configure
from serve_app.runtime import Runtime, Transport
from serve_app.settings import Settings
from serve_app.subscriptions import job_kinds, subscriptions

_STALE_S = 120.0


class Worker:
    """Runs the named subscriptions, and jobs of the named queues with so many at once."""

    async def __init__(  # type: ignore[misc]  # Serve awaits it
        self, settings: Settings, subscription_names: tuple[str, ...], queues: dict[str, int]
    ) -> None:
        configure(settings.log_level, "worker")
        self._settings = settings
        self._subscription_names = subscription_names
        self._queues = queues
        self._egress = Egress(settings.egress_networks())
        self._consumers: list[Consumer] = []
        self._runtime = Runtime(settings, "worker", self._attach)
        kinds = job_kinds(self._runtime.database, self._egress, settings)
        self._jobs = JobRunner(self._runtime.database, queues, kinds) if queues else None
        self._running = asyncio.create_task(self._jobs.run()) if self._jobs else None

    def check_health(self) -> None:
        """Raise when a loop has stopped turning, so that the controller replaces this replica."""
        self._runtime.check()
        if self._running is not None and self._running.done():
            raise RuntimeError("the job runner has stopped")
        if any(time.monotonic() - consumer.last_progress > _STALE_S for consumer in self._consumers):
            raise RuntimeError("a consumer has stopped turning")

    async def __del__(self) -> None:
        for consumer in self._consumers:
            await consumer.stop()
        if self._jobs is not None:
            await self._jobs.stop()
        await self._runtime.stop()
        await self._egress.aclose()

    async def _attach(self, transport: Transport) -> list[Callable[[], Awaitable[None]]]:
        database = self._runtime.database
        self._consumers = [
            Consumer(database, transport.client, transport.settings, subscription)
            for subscription in subscriptions(database)
            if subscription.name in self._subscription_names
        ]
        if self._jobs is not None:
            for queue in self._queues:
                transport.nudges.wake(jobs_topic(queue), partial(self._jobs.nudge, queue))
        return [consumer.run for consumer in self._consumers]
