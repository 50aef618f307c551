"""The Serve deployment that opens the HTTP edge: finds every context and starts Sanic's own server."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from ray import serve

from deployments.audit.contracts import AuditApi
from deployments.federation.contracts import FederationApi
from deployments.files.contracts import FilesApi
from deployments.forms.contracts import FormsApi
from deployments.identity.contracts import IdentityApi
from deployments.imports.contracts import ImportsApi
from deployments.jobs.contracts import JobsApi
from deployments.responses.contracts import ResponsesApi
from deployments.tenancy.contracts import TenancyApi
from deployments.webhooks.contracts import WebhooksApi
from serve_app.edge.apis import Apis
from serve_app.edge.client import remote
from serve_app.edge.deployment import Edge
from serve_app.edge.dispatch import Dispatcher
from serve_app.edge.handle import ray_sender
from serve_app.edge.settings import EdgeSettings
from serve_app.edge_link import EdgeLink
from serve_app.logging import configure
from serve_app.settings import Settings

Api = TypeVar("Api")


class EdgeHost:
    """One edge replica; several share the port."""

    async def __init__(self, settings: Settings, contexts: dict[str, str]) -> None:  # type: ignore[misc]  # Serve awaits it
        configure(settings.log_level, "edge")
        edge = settings.edge()
        self._edge = Edge(edge, connect(contexts, edge))
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
        await self._link.stop()


def connect(contexts: dict[str, str], settings: EdgeSettings) -> Apis:
    """The contexts behind their deployments, each deployment with a lane for submissions and one for the rest."""
    hot: dict[str, Dispatcher] = {}
    calm: dict[str, Dispatcher] = {}
    for application in sorted(set(contexts.values())):
        send = ray_sender(serve.get_deployment_handle(application, application))
        hot[application] = Dispatcher(send, slots=4, max_calls=128)
        calm[application] = Dispatcher(send, slots=16, max_calls=8)

    def lane(context: str) -> Callable[[str], Dispatcher]:
        application = contexts[context]
        return lambda method: hot[application] if method == "submit" else calm[application]

    def probe(application: str) -> Callable[[], Awaitable[None]]:
        async def ready() -> None:
            await calm[application].call("", "probe", "ready", ("",), 2.0)

        return ready

    def api(protocol: type[Api], context: str) -> Api:
        deadlines = {
            "submit": settings.submit_deadline_s,
            # Both may look into a file.
            "append_part": settings.examine_deadline_s,
            "find_upload": settings.examine_deadline_s,
        }
        return remote(protocol, context, lane(context), deadline_s=settings.deadline_s, deadlines_s=deadlines)

    return Apis(
        identity=api(IdentityApi, "identity"),
        forms=api(FormsApi, "forms"),
        responses=api(ResponsesApi, "responses"),
        webhooks=api(WebhooksApi, "webhooks"),
        imports=api(ImportsApi, "imports"),
        jobs=api(JobsApi, "jobs"),
        audit=api(AuditApi, "audit"),
        tenancy=api(TenancyApi, "tenancy"),
        federation=api(FederationApi, "federation"),
        files=api(FilesApi, "files"),
        probes={application: probe(application) for application in hot},
        lanes={f"{name}.hot": lane for name, lane in hot.items()}
        | {f"{name}.calm": lane for name, lane in calm.items()},
    )
