"""The Serve deployment that opens the HTTP edge: finds every context and starts Sanic's own server.

Serve imports this once more to build the application, in a process that ends then: what only a replica needs is
imported by the replica.
"""

from ray import serve

from serve_app.error_tracking import open_tracker
from serve_app.logging import configure
from serve_app.replica_port import keep_to_node
from serve_app.settings import Settings
from serve_app.starting import collect_rarely, without_collections


class EdgeHost:
    """One edge replica; several share the port."""

    async def __init__(self, settings: Settings, contexts: dict[str, str]) -> None:  # type: ignore[misc]  # Serve awaits it
        collect_rarely()
        with without_collections():
            from serve_app.edge.deployment import Edge
            from serve_app.edge.dispatch import Send
            from serve_app.edge.handle import ray_sender
            from serve_app.edge_contexts import connect
            from serve_app.edge_credentials import EdgeCredentials
            from serve_app.edge_link import EdgeLink
            from serve_app.sockets.client import Client
            from serve_app.sockets.folder import folder_of_this_node
            from serve_app.tracing.opening import open_tracer

        self._tracker = open_tracker(settings, "edge")
        keep_to_node()
        configure(settings.log_level, "edge", self._tracker)
        edge = settings.edge()
        self._tracer = open_tracer(settings, "edge")
        self._credentials = EdgeCredentials(settings, edge.deadline_s, self._tracer)
        folder = folder_of_this_node()
        self._clients: list[Client] = []

        def way(application: str) -> Send:
            over_ray = ray_sender(serve.get_deployment_handle(application, application))
            if folder is None:
                return over_ray
            client = Client(folder, application, over_ray)
            self._clients.append(client)
            return client.send

        apis = connect(contexts, edge, self._credentials, way)
        if self._tracer is None:
            self._edge = Edge(edge, apis)
        else:
            from serve_app.tracing.requests import traced_apis, traced_operations

            self._edge = Edge(edge, traced_apis(apis, self._tracer), traced_operations(self._tracer))
        await self._edge.start()
        self._link = EdgeLink(settings.eventing(), self._edge)

    async def check_health(self) -> None:
        """Raise when the listener is gone."""
        self._edge.check_health()

    def record_autoscaling_stats(self) -> dict[str, float]:
        """The number of requests in progress, for `serve_app.autoscaling`: Serve itself sees none of them."""
        return {"calls": float(self._edge.running)}

    async def __del__(self) -> None:
        await self._edge.stop()
        for client in self._clients:
            await client.close()
        await self._link.stop()
        await self._credentials.stop()
        if self._tracer is not None:
            await self._tracer.stop()
        if self._tracker is not None:
            await self._tracker.close()
