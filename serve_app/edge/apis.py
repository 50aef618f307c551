"""The contexts, as the edge sees them."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

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
from serve_app.edge.dispatch import Dispatcher
from serve_app.edge.views import Views

Probe = Callable[[], Awaitable[None]]
Numbers = Callable[[], Awaitable[list[CacheNumbers]]]
Process = Callable[[], Awaitable[ProcessNumbers]]


@dataclass(frozen=True, kw_only=True)
class Apis:
    """Every context by its Protocol. `probes` ask a dependency whether it works and raise when it does not;
    `lanes` are the dispatchers by name, for the metrics, and `views` counts who opens forms. `caches` ask a process
    what its caches did, `processes` how many connections it uses and what models took."""

    credentials: CredentialsApi
    identity: IdentityApi
    forms: FormsApi
    responses: ResponsesApi
    webhooks: WebhooksApi
    imports: ImportsApi
    jobs: JobsApi
    audit: AuditApi
    events: EventsApi
    tenancy: TenancyApi
    federation: FederationApi
    files: FilesApi
    exports: ExportsApi
    notifications: NotificationsApi
    inference: InferenceApi
    analytics: AnalyticsApi
    reports: ReportsApi
    probes: Mapping[str, Probe] = field(default_factory=dict)
    lanes: Mapping[str, Dispatcher] = field(default_factory=dict)
    views: Views = field(default_factory=Views)
    caches: Mapping[str, Numbers] = field(default_factory=dict)
    processes: Mapping[str, Process] = field(default_factory=dict)
