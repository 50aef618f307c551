"""The Serve deployment that hosts one context or several: which ones is configuration.

Serve imports this once more to build the application, in a process that ends then: what only a replica needs is
imported by the replica.
"""

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ray import serve

from db.errors import DatabaseUnavailable
from deployments.kit.cache import CacheNumbers
from deployments.kit.calls import answer
from deployments.kit.errors import DomainError, Unavailable
from deployments.kit.process_numbers import ProcessNumbers
from deployments.models.contracts import Faculty
from deployments.models.errors import ModelDamaged
from serve_app.contexts import build_contexts
from serve_app.error_tracking import open_tracker
from serve_app.logging import configure
from serve_app.model_times import ModelTimes
from serve_app.pools import pools_of
from serve_app.replica_port import keep_to_node
from serve_app.settings import Settings
from serve_app.sockets.folder import folder_of_this_node
from serve_app.sockets.server import Server
from serve_app.starting import collect_rarely, without_collections
from serve_app.tracing.calls import traced_contexts
from serve_app.tracing.opening import open_tracer

if TYPE_CHECKING:
    from serve_app.runtime import Runtime


class Calls:
    """How many calls run now: what autoscaling looks at, since one message carries many."""

    def __init__(self) -> None:
        self.running = 0.0

    def inc(self, amount: float = 1) -> None:
        self.running += amount

    def dec(self, amount: float = 1) -> None:
        self.running -= amount


def translate(error: Exception) -> DomainError | None:
    """What a failure of the data room means to a caller."""
    if isinstance(error, DatabaseUnavailable):
        return Unavailable("the database is not available at the moment", retry_after=1.0)
    if isinstance(error, ModelDamaged):
        return Unavailable(f"the model {error.name} is damaged", retry_after=60.0)
    return None


class ContextHost:
    """Answers coalesced calls for its contexts; commits are announced to the workers, which publish what they hold."""

    async def __init__(  # type: ignore[misc]  # Serve awaits it
        self, settings: Settings, contexts: tuple[str, ...], models: Mapping[Faculty, str] | None = None
    ) -> None:
        collect_rarely()
        name = "+".join(contexts)
        self._tracker = open_tracker(settings, name)
        keep_to_node()
        configure(settings.log_level, name, self._tracker)
        self._tracer = open_tracer(settings, name if len(contexts) == 1 else "contexts")
        with without_collections():
            from serve_app.runtime import Runtime

            self._runtime = Runtime(settings, name, tracer=self._tracer)
            times = ModelTimes()
            self._targets = build_contexts(
                contexts, self._runtime.database, settings, models, self._runtime.caches, times, self._tracer
            )
        self._callable = {**traced_contexts(self._targets, self._tracer), "probe": Probe(self._runtime, times)}
        self._calls = Calls()
        folder = folder_of_this_node()
        self._server = None
        if folder is not None:
            self._server = Server(folder, serve.get_replica_context().app_name, self.call)
            await self._server.start()
        # Nobody waits for it: the process is ready as it is.
        self._warming = asyncio.create_task(self._runtime.caches.warm())

    async def call(self, batch: bytes) -> bytes:
        """Run a batch of calls; see `deployments.kit.calls`."""
        return await answer(batch, self._callable, self._calls, translate)

    def check_health(self) -> None:
        """Raise when this replica should be replaced; for a database that is away a new one would not help."""
        self._runtime.check()

    def record_autoscaling_stats(self) -> dict[str, float]:
        """The number of calls in progress, for `serve_app.autoscaling`."""
        return {"calls": self._calls.running}

    async def __del__(self) -> None:
        if self._server is not None:
            await self._server.close()
        self._warming.cancel()
        await asyncio.wait({self._warming})
        for target in self._targets.values():
            close: Any = getattr(target, "close", None)
            if close is not None:
                await close()
        await self._runtime.stop()
        if self._tracer is not None:
            await self._tracer.stop()
        if self._tracker is not None:
            await self._tracker.close()


class Probe:
    """Tells whether the process can do its work, and what it remembers."""

    def __init__(self, runtime: "Runtime", times: ModelTimes) -> None:
        self._runtime = runtime
        self._times = times

    async def ready(self, _tenant: str) -> None:
        """Raise Unavailable when the database does not answer."""
        await self._runtime.database.ping()

    async def caches(self, _tenant: str) -> list[CacheNumbers]:
        """What the caches of the process did since its start."""
        return self._runtime.caches.numbers()

    async def process(self, _tenant: str) -> ProcessNumbers:
        """Which connections the process uses, and what it waited for models."""
        return ProcessNumbers(pools=pools_of(self._runtime.database), models=self._times.numbers())
