"""The connection to NATS: reconnects for ever, notices a dead peer within seconds, buffers little."""

import asyncio
import contextlib
import logging
import random
from collections.abc import Awaitable, Callable
from functools import lru_cache
from typing import Any, Final

from nats.aio.client import Client as NatsClient
from nats.aio.client import Server
from nats.errors import Error as NatsError

from eventing.errors import ConnectFailed
from eventing.settings import EventingSettings
from eventing.tls import client_context

_HEADERS_KEPT: Final = 1024

_log = logging.getLogger(__name__)


class _Client(NatsClient):
    """The library's client, which alone sends its password in plain when a server at tls:// offers no TLS."""

    # Each consumer of a process gets an event with the same headers; to read them was a fifth of what that costs.
    _parse_header_lines = staticmethod(lru_cache(_HEADERS_KEPT)(NatsClient._parse_header_lines))

    async def _process_info(self, info: dict[str, Any], initial_connection: bool = False) -> None:
        if initial_connection and self._current_server is not None and self._current_server.uri.scheme == "tls":
            # Whoever sits in between can take the offer out; nothing was sent yet.
            if not (info.get("tls_required") or info.get("tls_available")):
                raise NatsError("the server offers no TLS, but its address begins with tls://")
            info["tls_required"] = True
        await super()._process_info(info, initial_connection)


async def connect(
    settings: EventingSettings, name: str, *, on_closed: Callable[[], Awaitable[None]] | None = None
) -> NatsClient:
    """A connected client, labelled `name` in NATS monitoring; the caller closes or drains it.

    A lost connection is renewed without end. `on_closed` is awaited once, when the client is closed for good:
    by its owner, or by the library after a protocol error, and then only a new client helps.
    At tls:// addresses it speaks TLS only, with servers whose certificate the CA signed for that host name.
    Raises ConnectFailed when the address or a certificate's file is wrong or no server accepts the credentials within
    `connect_timeout_s`.
    """
    tls = client_context(settings)
    client = _Client()
    established = False

    async def report(error: Exception) -> None:
        _log.warning("nats connection %s: %s", name, error or type(error).__name__)

    async def closed() -> None:
        if established and on_closed is not None:
            await on_closed()

    def pick(servers: list[Server], _info: dict[str, Any]) -> tuple[Server, float]:
        # Jitter keeps all replicas from knocking at the same instant after a restart of the server.
        return random.choice(servers), settings.reconnect_wait_s * random.uniform(0.5, 1.5)

    try:
        async with asyncio.timeout(settings.connect_timeout_s):
            await client.connect(
                servers=[server.strip() for server in settings.nats_url.split(",")],
                name=name,
                tls=tls,
                error_cb=report,
                closed_cb=closed,
                reconnect_to_server_handler=pick,
                max_reconnect_attempts=-1,
                reconnect_time_wait=1,
                connect_timeout=2,
                ping_interval=settings.ping_interval_s,
                pending_size=settings.pending_bytes,
                inbox_prefix=settings.inbox_prefix,
            )
    except TimeoutError as error:
        reason = client.last_error or "no answer"
        await client.close()
        raise ConnectFailed(f"no connection to NATS within {settings.connect_timeout_s:g} s: {reason}") from error
    except NatsError as error:  # a bad address; what happens later is tried again until the deadline
        raise ConnectFailed(f"the NATS address cannot be used: {error}") from error
    except asyncio.CancelledError:
        await client.close()
        raise
    established = True
    return client


async def close(client: NatsClient) -> None:
    """Close the client for good, whether or not the server is there; what was published is sent if it is."""
    # The library stumbles, before `on_closed`, over a lost connection that still holds unsent commands.
    with contextlib.suppress(OSError, NatsError):
        await client.close()
