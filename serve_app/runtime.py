"""What every process with data holds: the database, its caches, and the event transport when it can be reached."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nats.aio.client import Client as NatsClient

from db.group_commit import GroupCommit
from db.session import Database
from db.settings import DatabaseSettings
from deployments.kit.cache import Caches
from eventing.nudges import Nudges
from eventing.settings import EventingSettings
from eventing.shared_cache import SharedCache
from eventing.subjects import change_in
from serve_app.link import Link, Loop
from serve_app.settings import Settings

if TYPE_CHECKING:
    from serve_app.tracing.tracer import Tracer


@dataclass(frozen=True, slots=True)
class Transport:
    """A connection to NATS and what carries hints over it."""

    client: NatsClient
    nudges: Nudges
    settings: EventingSettings


def open_database(settings: DatabaseSettings, tracer: Tracer | None) -> Database:
    """The database of a process, with spans where somebody traces."""
    if tracer is None:
        return Database(settings)
    from serve_app.tracing.database import TracedDatabase, TracedGroups

    GroupCommit.watch = TracedGroups(tracer)
    return TracedDatabase(settings, tracer)


class Runtime:
    """Opens the database at once and NATS as soon as it answers.

    `attach` is called with each new connection, before it carries anything; it returns loops to run with it.
    """

    def __init__(
        self,
        settings: Settings,
        name: str,
        attach: Callable[[Transport], Awaitable[Sequence[Loop]]] | None = None,
        *,
        yields: bool = False,
        tracer: Tracer | None = None,
    ) -> None:
        self.database = open_database(settings.database().model_copy(update={"yields": yields}), tracer)
        self.caches = Caches()
        self.database.listen(self._changed)
        self._settings = settings.eventing()
        self._attach = attach
        self._link = Link(self._settings, name, self._attached)

    def check(self) -> None:
        """Raise RuntimeError when the loop that keeps the transport has ended."""
        self._link.check()

    async def stop(self) -> None:
        """Close the transport and the database."""
        await self._link.stop()
        await self.database.close()

    def _changed(self, topics: frozenset[str]) -> None:
        # What is forgotten is asked for again: no replica may answer that lacks it.
        self.database.pin(change[1] for topic in topics if (change := change_in(topic)) is not None)
        self.caches.changes.heard(topics)

    @asynccontextmanager
    async def _attached(self, client: NatsClient) -> AsyncIterator[Sequence[Loop]]:
        nudges = Nudges(self.database, client, self._changed)
        shared = SharedCache(client, self._settings)
        loops = await self._attach(Transport(client, nudges, self._settings)) if self._attach else ()
        await nudges.start()
        self.caches.shared = shared
        try:
            yield loops
        finally:
            self.caches.shared = None
            await shared.stop()
            await nudges.stop()
