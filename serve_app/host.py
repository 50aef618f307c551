"""The Serve deployment that hosts one context or several: which ones is configuration."""

from typing import Any

from db.errors import DatabaseUnavailable
from deployments.kit.calls import answer
from deployments.kit.errors import DomainError, Unavailable
from serve_app.contexts import build_contexts
from serve_app.logging import configure
from serve_app.runtime import Runtime
from serve_app.settings import Settings


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
    return None


class ContextHost:
    """Answers coalesced calls for its contexts; commits are announced to the workers, which publish what they hold."""

    async def __init__(self, settings: Settings, contexts: tuple[str, ...]) -> None:  # type: ignore[misc]  # Serve awaits it
        configure(settings.log_level, "+".join(contexts))
        self._runtime = Runtime(settings, "+".join(contexts))
        self._targets = build_contexts(contexts, self._runtime.database, settings)
        self._targets["probe"] = Probe(self._runtime)
        self._calls = Calls()

    async def call(self, batch: bytes) -> bytes:
        """Run a batch of calls; see `deployments.kit.calls`."""
        return await answer(batch, self._targets, self._calls, translate)

    def check_health(self) -> None:
        """Raise when this replica should be replaced; for a database that is away a new one would not help."""
        self._runtime.check()

    def record_autoscaling_stats(self) -> dict[str, float]:
        """The number of calls in progress, for `serve_app.autoscaling`."""
        return {"calls": self._calls.running}

    async def __del__(self) -> None:
        for target in self._targets.values():
            close: Any = getattr(target, "close", None)
            if close is not None:
                await close()
        await self._runtime.stop()


class Probe:
    """Tells whether the process can do its work."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    async def ready(self, _tenant: str) -> None:
        """Raise Unavailable when the database does not answer."""
        await self._runtime.database.ping()
