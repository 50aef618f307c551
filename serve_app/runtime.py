"""What every process with data holds: the database, and the event transport when it can be reached."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from nats.aio.client import Client as NatsClient

from db.session import Database
from eventing.nudges import Nudges
from eventing.settings import EventingSettings
from serve_app.link import Link, Loop
from serve_app.settings import Settings


@dataclass(frozen=True, slots=True)
class Transport:
    """A connection to NATS and what carries hints over it."""

    client: NatsClient
    nudges: Nudges
    settings: EventingSettings


class Runtime:
    """Opens the database at once and NATS as soon as it answers.

    `attach` is called with each new connection, before it carries anything; it returns loops to run with it.
    """

    def __init__(
        self,
        settings: Settings,
        name: str,
        attach: Callable[[Transport], Awaitable[Sequence[Loop]]] | None = None,
    ) -> None:
        self.database = Database(settings.database())
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

    @asynccontextmanager
    async def _attached(self, client: NatsClient) -> AsyncIterator[Sequence[Loop]]:
        nudges = Nudges(self.database, client)
        loops = await self._attach(Transport(client, nudges, self._settings)) if self._attach else ()
        await nudges.start()
        try:
            yield loops
        finally:
            await nudges.stop()
