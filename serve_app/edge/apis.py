"""The contexts, as the edge sees them."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

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
from serve_app.edge.dispatch import Dispatcher

Probe = Callable[[], Awaitable[None]]


@dataclass(frozen=True, kw_only=True)
class Apis:
    """Every context by its Protocol. `probes` ask a dependency whether it works and raise when it does not;
    `lanes` are the dispatchers by name, for the metrics."""

    identity: IdentityApi
    forms: FormsApi
    responses: ResponsesApi
    webhooks: WebhooksApi
    imports: ImportsApi
    jobs: JobsApi
    audit: AuditApi
    tenancy: TenancyApi
    federation: FederationApi
    files: FilesApi
    probes: Mapping[str, Probe] = field(default_factory=dict)
    lanes: Mapping[str, Dispatcher] = field(default_factory=dict)
