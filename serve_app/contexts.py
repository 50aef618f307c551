"""Every context by its name, built for one process.

Each builder imports its own context: a process that hosts one of them must not load all.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, cast

from serve_app.consumers import CONSUMERS
from serve_app.settings import Settings

if TYPE_CHECKING:
    from db.session import Database
    from deployments.identity.contracts import IdentityApi
    from deployments.jobs.contracts import JobsApi
    from deployments.kit.cache import Caches
    from deployments.kit.objects import ObjectStore
    from deployments.models.contracts import Faculty, ModelsApi
    from deployments.webhooks.contracts import WebhooksApi
    from serve_app.model_times import ModelTimes
    from serve_app.tracing.tracer import Tracer


def _identity(database: Database, settings: Settings) -> object:
    from deployments.identity.deployment import Identity
    from deployments.kit.vault import Vault

    return Identity(database, settings.identity(), Vault(settings.secret_keys()))


def _forms(database: Database, _: Settings, caches: Caches) -> object:
    from deployments.forms.deployment import Forms

    return Forms(database, caches)


def _responses(database: Database, settings: Settings, caches: Caches) -> object:
    from deployments.kit.egress import Egress
    from deployments.responses.deployment import Responses
    from deployments.responses.screening import Screening

    screening = Screening(database, settings.secret_keys(), Egress(settings.egress_networks()))
    return Responses(database, settings.responses(), screening, caches)


def _webhooks(database: Database, settings: Settings) -> object:
    from deployments.kit.vault import Vault
    from deployments.webhooks.deployment import Webhooks

    return Webhooks(database, Vault(settings.secret_keys()))


def _imports(database: Database, settings: Settings) -> object:
    from deployments.imports.deployment import Imports

    return Imports(database, _objects(settings))


def _audit(database: Database, _: Settings) -> object:
    from deployments.audit.deployment import Audit

    return Audit(database)


def _events(database: Database, settings: Settings) -> object:
    from deployments.events.deployment import Events

    return Events(database, CONSUMERS, cast("WebhooksApi", _webhooks(database, settings)))


def _tenancy(database: Database, settings: Settings) -> object:
    from deployments.tenancy.deployment import Tenancy

    return Tenancy(database, settings.secret_keys())


def _jobs(database: Database, settings: Settings) -> object:
    from deployments.jobs.deployment import Jobs
    from serve_app.schedulable import SCHEDULABLE

    return Jobs(database, SCHEDULABLE, settings.jobs())


def _federation(database: Database, settings: Settings) -> object:
    from deployments.federation.deployment import Federation
    from deployments.kit.egress import Egress
    from deployments.kit.vault import Vault

    own = settings.federation()
    egress = Egress(own.egress_allow, max_response_bytes=own.max_document_bytes, timeout_s=own.request_timeout_s)
    identity = cast("IdentityApi", _identity(database, settings))
    return Federation(database, identity, egress, Vault(settings.secret_keys()), own)


def _exports(database: Database, settings: Settings) -> object:
    from deployments.exports.deployment import Exports
    from deployments.responses.deployment import Responses

    return Exports(database, Responses(database, settings.responses()), settings.exports())


def _notifications(database: Database, settings: Settings) -> object:
    from deployments.forms.deployment import Forms
    from deployments.kit.vault import Vault
    from deployments.notifications.deployment import Notifications
    from deployments.responses.deployment import Responses

    vault, own = Vault(settings.secret_keys()), settings.notifications()
    return Notifications(database, Forms(database), Responses(database), vault, own)


def _analytics(database: Database, settings: Settings, caches: Caches) -> object:
    from deployments.analytics.deployment import Analytics
    from deployments.analytics.warehouse.warehouse import Warehouse
    from deployments.responses.deployment import Responses

    responses = Responses(database, settings.responses())
    return Analytics(database, Warehouse(database, _objects(settings), responses, settings.warehouse()), caches)


def _files(database: Database, settings: Settings) -> object:
    from deployments.files.deployment import Files

    return Files(database, _objects(settings), settings.files())


def _inference(database: Database, settings: Settings, models: ModelsApi) -> object:
    from deployments.forms.deployment import Forms
    from deployments.inference.deployment import Inference
    from deployments.inference.search.keeping import Indexes
    from deployments.models.heads.learning import Learning
    from deployments.responses.deployment import Responses

    memory, threads = settings.search_memory_mb << 20, settings.model_threads
    indexes = Indexes(database, _objects(settings), memory=memory, threads=threads)
    responses, forms = Responses(database, settings.responses()), Forms(database)
    return Inference(database, models, Learning(threads=threads), responses, forms, indexes)


def _objects(settings: Settings) -> ObjectStore:
    from deployments.kit.objects import ObjectStore

    return ObjectStore(settings.object_store(), **settings.object_store_options())


def _reports(database: Database, settings: Settings) -> object:
    from deployments.forms.deployment import Forms
    from deployments.reports.deployment import Reports
    from deployments.responses.deployment import Responses

    responses, jobs = Responses(database, settings.responses()), cast("JobsApi", _jobs(database, settings))
    return Reports(database, Forms(database), responses, jobs, settings.reports())


_BUILDERS: dict[str, Callable[[Database, Settings], object]] = {
    "identity": _identity,
    "webhooks": _webhooks,
    "imports": _imports,
    "audit": _audit,
    "events": _events,
    "tenancy": _tenancy,
    "jobs": _jobs,
    "federation": _federation,
    "exports": _exports,
    "notifications": _notifications,
    "reports": _reports,
    "files": _files,
}

_ASKING_MODELS: dict[str, Callable[[Database, Settings, ModelsApi], object]] = {
    "inference": _inference,
}

_REMEMBERING: dict[str, Callable[[Database, Settings, Caches], object]] = {
    "forms": _forms,
    "responses": _responses,
    "analytics": _analytics,
}

CONTEXTS = frozenset(_BUILDERS) | frozenset(_ASKING_MODELS) | frozenset(_REMEMBERING)

_MODELS_DEADLINE_S = 8.0
"""Less than what the edge waits, so that it is told that it was the models."""


def build_contexts(
    names: tuple[str, ...],
    database: Database,
    settings: Settings,
    models: Mapping[Faculty, str] | None = None,
    caches: Caches | None = None,
    times: ModelTimes | None = None,
    tracer: Tracer | None = None,
) -> dict[str, object]:
    """The named contexts on one database; `models` tells where each faculty is hosted, and without it they run here.

    `caches` and `tracer` are those of the process, and `times` learns what the models take. Raises KeyError for a name
    that is none.
    """
    remembering = [name for name in names if name in _REMEMBERING]
    built: dict[str, object] = {}
    if remembering:
        from deployments.kit.cache import Caches

        caches = caches or Caches()
        built = {name: _REMEMBERING[name](database, settings, caches) for name in remembering}
    others = [name for name in names if name not in _ASKING_MODELS and name not in _REMEMBERING]
    built |= {name: _BUILDERS[name](database, settings) for name in others}
    if asking := [name for name in names if name in _ASKING_MODELS]:
        found = models_at(models, settings, _MODELS_DEADLINE_S, tracer)
        if times is not None:
            found = times.timed(found)
        built |= {name: _ASKING_MODELS[name](database, settings, found) for name in asking}
    return built


def models_at(
    homes: Mapping[Faculty, str] | None, settings: Settings, deadline_s: float, tracer: Tracer | None = None
) -> ModelsApi:
    """The models where they are hosted, asked for at most `deadline_s` seconds; in this process without `homes`."""
    if homes:
        from serve_app.models_client import over_handles

        return over_handles(homes, deadline_s, written_s=settings.generation_deadline_s, tracer=tracer)
    # Whoever asks elsewhere needs no ONNX Runtime.
    from deployments.models.deployment import Models

    return Models(settings.models(), _objects(settings))
