"""A connection to NATS that is kept for ever, and what goes on while it stands."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, suppress
from typing import TypeAlias

import structlog
from nats.aio.client import Client as NatsClient

from eventing import connection
from eventing.errors import EventingError
from eventing.settings import EventingSettings

log = structlog.get_logger(__name__)

_RETRY_S = 2.0

Loop: TypeAlias = Callable[[], Awaitable[None]]
Attach: TypeAlias = Callable[[NatsClient], AbstractAsyncContextManager[Sequence[Loop]]]


class Link:
    """Connects as soon as NATS answers, and again when it was away: nobody waits for it (E7).

    `attach` is entered with each new connection, before that carries anything, and left with it; the loops that it
    gives run in between.
    """

    def __init__(self, settings: EventingSettings, name: str, attach: Attach) -> None:
        self._settings = settings
        self._name = name
        self._attach = attach
        self._task = asyncio.create_task(self._keep_connected())

    def check(self) -> None:
        """Raise RuntimeError when nothing keeps the connection any more."""
        if self._task.done():
            raise RuntimeError("the event transport has stopped")

    async def stop(self) -> None:
        """Close the connection."""
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task

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
            async with self._attach(client) as loops:
                tasks = [asyncio.ensure_future(loop()) for loop in loops]
                try:
                    await closed.wait()
                finally:
                    for task in tasks:
                        task.cancel()
                    await asyncio.gather(*tasks, return_exceptions=True)
        finally:
            await connection.close(client)
