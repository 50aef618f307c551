"""The Serve deployment that opens the HTTP edge: finds every context and starts Sanic's own server."""

from collections.abc import Awaitable, Callable

from deployments.jobs.contracts import JobsApi
from ray import serve

from deployments.forms.contracts import FormsApi
from deployments.identity.contracts import IdentityApi
from deployments.imports.contracts import ImportsApi
from deployments.responses.contracts import ResponsesApi
from deployments.webhooks.contracts import WebhooksApi
from serve_app.edge.apis import Apis
from serve_app.edge.client import remote
from serve_app.edge.deployment import Edge
from serve_app.edge.dispatch import Dispatcher
from serve_app.edge.handle import ray_sender
from serve_app.logging import configure
from serve_app.settings import Settings


class EdgeHost:
    """One edge replica; several share the port."""

    async def __init__(self, settings: Settings, contexts: dict[str, str]) -> None:  # type: ignore[misc]  # Serve awaits it
        configure(settings.log_level, "edge")
        self._edge = Edge(settings.edge(), connect(contexts))
        await self._edge.start()

    async def check_health(self) -> None:
        """Raise when the listener is gone."""
        self._edge.check_health()

    async def __del__(self) -> None:
        await self._edge.stop()


def connect(contexts: dict[str, str]) -> Apis:
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

    return Apis(
        identity=remote(IdentityApi, "identity", lane("identity")),
        forms=remote(FormsApi, "forms", lane("forms")),
        responses=remote(ResponsesApi, "responses", lane("responses")),
        webhooks=remote(WebhooksApi, "webhooks", lane("webhooks")),
        imports=remote(ImportsApi, "imports", lane("imports")),
        jobs=remote(JobsApi, "jobs", lane("jobs")),
        probes={application: probe(application) for application in hot},
        lanes={f"{name}.hot": lane for name, lane in hot.items()}
        | {f"{name}.calm": lane for name, lane in calm.items()},
    )
