"""The contexts as the edge calls them: in messages to the applications that host them."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from deployments.analytics.contracts import AnalyticsApi
from deployments.audit.contracts import AuditApi
from deployments.events.contracts import EventsApi
from deployments.exports.contracts import ExportsApi
from deployments.federation.contracts import FederationApi
from deployments.files.contracts import FilesApi
from deployments.forms.contracts import FormsApi
from deployments.identity.contracts import CredentialsApi, IdentityApi
from deployments.imports.contracts import ImportsApi
from deployments.inference.contracts import InferenceApi
from deployments.jobs.contracts import JobsApi
from deployments.kit.cache import CacheNumbers
from deployments.kit.process_numbers import ProcessNumbers
from deployments.notifications.contracts import NotificationsApi
from deployments.reports.contracts import ReportsApi
from deployments.responses.contracts import ResponsesApi
from deployments.tenancy.contracts import TenancyApi
from deployments.webhooks.contracts import WebhooksApi
from serve_app.edge.apis import Apis
from serve_app.edge.client import remote
from serve_app.edge.dispatch import Dispatcher, Send
from serve_app.edge.settings import EdgeSettings

Api = TypeVar("Api")

_SCREENED = ("submit_screened", "save_screened")
_WRITTEN = ("generate", "generate_form")
_COMPUTED = ("run_sql", "response_document")


def connect(
    contexts: dict[str, str], settings: EdgeSettings, credentials: CredentialsApi, way: Callable[[str], Send]
) -> Apis:
    """The contexts behind their applications, each with a lane for submissions, one for the rest, and one for what
    others outside are asked about. `way` leads to an application."""
    hot: dict[str, Dispatcher] = {}
    calm: dict[str, Dispatcher] = {}
    alone: dict[str, Dispatcher] = {}
    for application in sorted(set(contexts.values())):
        send = way(application)
        # Small ones on the way one after the other, so that edge and context work at the same time: with few large ones
        # each waited while the other was busy with all of them.
        hot[application] = Dispatcher(send)
        calm[application] = Dispatcher(send, slots=16, max_calls=8)
        # What waits for somebody else's server must hold up no other call.
        alone[application] = Dispatcher(send, slots=64, max_calls=1)

    def lane(context: str) -> Callable[[str], Dispatcher]:
        application = contexts[context]
        lanes = {"submit": hot, **dict.fromkeys((*_SCREENED, *_WRITTEN, *_COMPUTED), alone)}
        return lambda method: lanes.get(method, calm)[application]

    def probe(application: str) -> Callable[[], Awaitable[None]]:
        async def ready() -> None:
            await calm[application].call("", "probe", "ready", ("",), 2.0)

        return ready

    def numbers(application: str) -> Callable[[], Awaitable[list[CacheNumbers]]]:
        async def caches() -> list[CacheNumbers]:
            found: list[CacheNumbers] = await calm[application].call("", "probe", "caches", ("",), 1.0)
            return found

        return caches

    def process(application: str) -> Callable[[], Awaitable[ProcessNumbers]]:
        async def numbers() -> ProcessNumbers:
            found: ProcessNumbers = await calm[application].call("", "probe", "process", ("",), 1.0)
            return found

        return numbers

    def api(protocol: type[Api], context: str) -> Api:
        deadlines = {
            "submit": settings.submit_deadline_s,
            # Both may look into a file.
            "append_part": settings.examine_deadline_s,
            "find_upload": settings.examine_deadline_s,
            "run_sql": settings.sql_deadline_s,
            **dict.fromkeys(_WRITTEN, settings.generate_deadline_s),
        }
        return remote(protocol, context, lane(context), deadline_s=settings.deadline_s, deadlines_s=deadlines)

    return Apis(
        credentials=credentials,
        identity=api(IdentityApi, "identity"),
        forms=api(FormsApi, "forms"),
        responses=api(ResponsesApi, "responses"),
        webhooks=api(WebhooksApi, "webhooks"),
        imports=api(ImportsApi, "imports"),
        jobs=api(JobsApi, "jobs"),
        audit=api(AuditApi, "audit"),
        events=api(EventsApi, "events"),
        tenancy=api(TenancyApi, "tenancy"),
        federation=api(FederationApi, "federation"),
        files=api(FilesApi, "files"),
        exports=api(ExportsApi, "exports"),
        notifications=api(NotificationsApi, "notifications"),
        inference=api(InferenceApi, "inference"),
        analytics=api(AnalyticsApi, "analytics"),
        reports=api(ReportsApi, "reports"),
        probes={application: probe(application) for application in hot},
        caches={application: numbers(application) for application in hot},
        processes={application: process(application) for application in hot},
        lanes={f"{name}.hot": lane for name, lane in hot.items()}
        | {f"{name}.calm": lane for name, lane in calm.items()}
        | {f"{name}.alone": lane for name, lane in alone.items()},
    )
