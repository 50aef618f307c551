"""What every process of the platform holds: the database, and the event transport when it can be reached."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass

import structlog
from nats.aio.client import Client as NatsClient

from db.session import Database
from eventing import connection
from eventing.errors import EventingError
from eventing.nudges import Nudges
from eventing.settings import EventingSettings
from serve_app.settings import Settings

log = structlog.get_logger(__name__)

_RETRY_S = 2.0


@dataclass(frozen=True, slots=True)
class Transport:
    """A connection to NATS and what carries hints over it."""

    client: NatsClient
    nudges: Nudges
    settings: EventingSettings


class Runtime:
    """Opens the database at once and NATS as soon as it answers: submissions never wait for NATS (E7).

    `attach` is called with each new connection, before it carries anything; it returns loops to run with it.
    """

    def __init__(
        self,
        settings: Settings,
        name: str,
        attach: Callable[[Transport], Awaitable[list[Callable[[], Awaitable[None]]]]] | None = None,
    ) -> None:
        self.database = Database(settings.database())
        self._settings = settings.eventing()
        self._name = name
        self._attach = attach
        self._task = asyncio.create_task(self._keep_connected())

    def check(self) -> None:
        """Raise RuntimeError when the loop that keeps the transport has ended."""
        if self._task.done():
            raise RuntimeError("the event transport has stopped")

    async def stop(self) -> None:
        """Close the transport and the database."""
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task
        await self.database.close()

    async def _keep_connected(self) -> None:
        while True:
            try:
                await self._serve_connection()
            except (EventingError, OSError, TimeoutError) as error:
                log.warning("nats is not reachable", error=str(error))
            await asyncio.sleep(_RETRY_S)

    async def _serve_connection(self) -> None:
        closed = asyncio.Event()

        async def on_closed() -> None:
            closed.set()

        client = await connection.connect(self._settings, self._name, on_closed=on_closed)
        try:
            nudges = Nudges(self.database, client)
            loops = await self._attach(Transport(client, nudges, self._settings)) if self._attach else []
            await nudges.start()
            tasks = [asyncio.ensure_future(loop()) for loop in loops]
            try:
                await closed.wait()
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
                await nudges.stop()
        finally:
            await connection.close(client)
