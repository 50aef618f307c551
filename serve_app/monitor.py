"""Looks at what the platform depends on, and writes down how it is: one worker does, for all."""

import asyncio
import shutil
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final
from urllib.parse import urlsplit

import nats.errors
import structlog

from db.repositories import component_state
from db.repositories.component_state import Seen
from db.repositories.outbox import oldest_unpublished_at
from db.session import Database
from db.types import utc_now
from deployments.events.measuring import LAG
from eventing.duty import Duty
from eventing.streams import EVENTS
from serve_app.runtime import Transport
from serve_app.settings import Settings

_EVERY_S: Final = 5.0
_LEASE_S: Final = 20.0
_ANSWER_S: Final = 2.0
_LATE_S: Final = 30.0
"""How long an event may wait for its publication before somebody should look."""
_FREE_BYTES: Final = 512 * 1024**2
_SMTP_PORTS: Final = {"smtp": 25, "smtps": 465}

log = structlog.get_logger(__name__)


class Monitor(Duty):
    """Whether NATS, the mail server and the disk are there, whether events flow, and how far consumers are.

    `transport` gives the connection of this process, None while there is none.
    """

    def __init__(
        self,
        database: Database,
        settings: Settings,
        consumers: Sequence[str],
        transport: Callable[[], Transport | None],
        *,
        every_s: float = _EVERY_S,
    ) -> None:
        super().__init__(database, "monitor", poll_s=every_s, lease_s=_LEASE_S)
        self._settings = settings
        self._consumers = consumers
        self._transport = transport

    async def round(self) -> bool:
        """Look at everything and write it down; that is enough for a while. Raises DatabaseUnavailable."""
        parts = await self.look()
        await self._database.transact(partial(component_state.note, parts=parts))
        return False

    async def look(self) -> list[Seen]:
        """How every part is now. Raises DatabaseUnavailable."""
        nats_trouble, lag = await self._nats()
        mail = await self._mail()
        found = {
            "nats": (nats_trouble, {}),
            LAG: ("", lag),
            "events": await self._events(),
            "disk": await asyncio.to_thread(self._disk),
        }
        if mail is not None:
            found["smtp"] = (mail, {})
        now = utc_now()
        for name, (trouble, _) in found.items():
            if trouble:
                log.warning("a part does not work", part=name, trouble=trouble)
        return [Seen(name, not trouble, trouble, figures, now) for name, (trouble, figures) in found.items()]

    async def _nats(self) -> tuple[str, dict[str, float]]:
        transport = self._transport()
        if transport is None or not transport.client.is_connected:
            return "NATS is away", {}
        stream = transport.client.jetstream(timeout=_ANSWER_S)
        lag: dict[str, float] = {}
        try:
            for info in await stream.consumers_info(EVENTS):
                if info.name in self._consumers:
                    lag[info.name] = (info.num_pending or 0) + (info.num_ack_pending or 0)
        except (nats.errors.Error, TimeoutError, OSError) as error:
            return f"JetStream does not answer: {error or type(error).__name__}", {}
        return "", lag

    async def _events(self) -> tuple[str, dict[str, float]]:
        oldest = await self._database.view(oldest_unpublished_at)
        age = 0.0 if oldest is None else max(0.0, (utc_now() - oldest).total_seconds())
        trouble = f"an event waits to be published for {age:.0f} s" if age > _LATE_S else ""
        return trouble, {"oldest_unpublished_s": age}

    async def _mail(self) -> str | None:
        """What is wrong with the mail server; None when there is none."""
        address = urlsplit(self._settings.smtp_url.get_secret_value())
        if address.hostname is None:
            return None
        try:
            async with asyncio.timeout(_ANSWER_S):
                port = address.port or _SMTP_PORTS.get(address.scheme, 25)
                _, writer = await asyncio.open_connection(address.hostname, port)
        except (OSError, TimeoutError) as error:
            return f"the mail server does not answer: {error or type(error).__name__}"
        writer.close()
        return ""

    def _disk(self) -> tuple[str, dict[str, float]]:
        free = shutil.disk_usage(self._settings.data_dir).free
        return "little room is left" if free < _FREE_BYTES else "", {"free_bytes": free}
