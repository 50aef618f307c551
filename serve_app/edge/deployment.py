"""The edge as a plain class: one HTTP server in the running event loop, on a port that replicas share."""

import asyncio
from functools import partial
from socket import socket
from typing import Any

import structlog
from sanic import Sanic
from sanic.http import Stage
from sanic.server import AsyncioServer

from deployments.kit.cache import Caches
from serve_app.edge.apis import Apis
from serve_app.edge.app import Around, SanicApp, create_app
from serve_app.edge.connections import GuardedProtocol
from serve_app.edge.limits import RateLimits
from serve_app.edge.listener import BACKLOG, leave, open_listener
from serve_app.edge.live import LiveEvents
from serve_app.edge.settings import EdgeSettings

log = structlog.get_logger(__name__)

# An idle connection is closed once it has been quiet for this long while the edge stops: one that is in use gets
# `Connection: close` with its next answer instead, so that no request meets a closed connection.
_QUIET_S = 1.0
_TICK_S = 0.05


class Edge:
    """One replica of the HTTP edge. `start`, `stop` and `check_health` are called in its event loop.

    Whoever owns it carries `limits` between the edges, notes in `changes` what is heard of tenants, and wakes `live`
    when something was published. `around` is put around the handler of each operation.
    """

    def __init__(self, settings: EdgeSettings, apis: Apis, around: Around | None = None) -> None:
        self._around = around
        self._settings = settings
        self._apis = apis
        self._app: SanicApp | None = None
        self._server: AsyncioServer | None = None
        self._listener: socket | None = None
        self._stopping = False
        self._telling: asyncio.Task[None] | None = None
        self.limits = RateLimits(settings.rate_limits)
        self.caches = Caches()
        self.changes = self.caches.changes
        self.live = LiveEvents(apis.events, self.changes, settings.max_listeners)

    async def start(self) -> int:
        """Listen and serve; returns the port. Raises OSError when the address cannot be had."""
        listener = open_listener(self._settings.host, self._settings.port)
        app = create_app(self._apis, self._settings, self.limits, self.caches, self.live, self._around)
        try:
            server: Any = await app.create_server(
                sock=listener,
                backlog=BACKLOG,
                protocol=GuardedProtocol,
                return_asyncio_server=True,
                asyncio_server_kwargs={"start_serving": False},
            )
            await server.startup()
            await server.before_start()
            await server.start_serving()
            await server.after_start()
        except BaseException:
            listener.close()
            Sanic.unregister_app(app)
            raise
        self._app, self._server, self._listener = app, server, listener
        self._telling = asyncio.create_task(self._apis.views.run(self._apis.analytics))
        port: int = listener.getsockname()[1]
        log.info("edge listens", host=self._settings.host, port=port)
        if not self._settings.tenant_isolation:
            log.warning("tenant isolation is off", tenant=self._settings.default_tenant)
        return port

    async def stop(self) -> None:
        """Leave the port, finish what is in flight within `drain_s` seconds, then close every connection."""
        if self._server is None or self._app is None or self._listener is None or self._stopping:
            return
        self._stopping = True
        self.live.close()
        server, app = self._server, self._app
        protocol = partial(GuardedProtocol, loop=asyncio.get_running_loop(), app=app, connections=server.connections)
        # Answers from now on end their connection, those that are being made included.
        app.config.KEEP_ALIVE = False
        for connection in server.connections:
            if connection.http:
                connection.http.keep_alive = False
        await leave(self._listener, server.close, protocol)
        await self._drain(server)
        await server.before_stop()  # type: ignore[no-untyped-call]
        for connection in tuple(server.connections):
            connection.abort()
        await server.after_stop()  # type: ignore[no-untyped-call]
        Sanic.unregister_app(app)
        if self._telling is not None:
            self._telling.cancel()
            await asyncio.wait({self._telling})
            await self._apis.views.hand_over(self._apis.analytics)
        log.info("edge stopped")

    def check_health(self) -> None:
        """Raise RuntimeError when the server does not serve any more."""
        if self._server is None or not self._server.is_serving():
            raise RuntimeError("the HTTP server is not listening")

    @property
    def running(self) -> int:
        """How many requests are being received or answered; who only listens makes no work."""
        if self._server is None:
            return 0
        return max(0, sum(not _is_idle(connection) for connection in self._server.connections) - self.live.listeners)

    async def _drain(self, server: AsyncioServer) -> None:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._settings.drain_s
        quiet_until = loop.time() + min(_QUIET_S, self._settings.drain_s)
        while server.connections and loop.time() < deadline:
            if loop.time() >= quiet_until:
                for connection in tuple(server.connections):
                    _close_when_quiet(connection)
            await asyncio.sleep(_TICK_S)


def _close_when_quiet(connection: GuardedProtocol) -> None:
    if _is_idle(connection):
        connection.close()


def _is_idle(connection: GuardedProtocol) -> bool:
    http = connection.http
    return http is None or (http.stage is Stage.IDLE and not connection.recv_buffer and not connection.waits)
