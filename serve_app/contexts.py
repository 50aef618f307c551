"""Every context by its name, built for one process."""

from collections.abc import Callable
from typing import cast

from db.session import Database
from deployments.audit.deployment import Audit
from deployments.federation.deployment import Federation
from deployments.files.deployment import Files
from deployments.forms.deployment import Forms
from deployments.identity.contracts import IdentityApi
from deployments.identity.deployment import Identity
from deployments.imports.deployment import Imports
from deployments.jobs.deployment import Jobs
from deployments.kit.egress import Egress
from deployments.kit.objects import ObjectStore
from deployments.kit.vault import Vault
from deployments.responses.deployment import Responses
from deployments.tenancy.deployment import Tenancy
from deployments.webhooks.deployment import Webhooks
from serve_app.settings import Settings


def _federation(database: Database, settings: Settings) -> Federation:
    own = settings.federation()
    egress = Egress(own.egress_allow, max_response_bytes=own.max_document_bytes, timeout_s=own.request_timeout_s)
    identity = cast(IdentityApi, _BUILDERS["identity"](database, settings))
    return Federation(database, identity, egress, Vault(settings.secret()), own)


def _objects(settings: Settings) -> ObjectStore:
    return ObjectStore(settings.object_store(), **settings.object_store_options())


_BUILDERS: dict[str, Callable[[Database, Settings], object]] = {
    "identity": lambda database, settings: Identity(database, settings.identity(), Vault(settings.secret())),
    "forms": lambda database, _: Forms(database),
    "responses": lambda database, settings: Responses(database, settings.responses()),
    "webhooks": lambda database, settings: Webhooks(database, Vault(settings.secret())),
    "imports": lambda database, settings: Imports(database, _objects(settings)),
    "audit": lambda database, _: Audit(database),
    "tenancy": lambda database, _: Tenancy(database),
    "jobs": lambda database, _: Jobs(database),
    "federation": _federation,
    "files": lambda database, settings: Files(database, _objects(settings), settings.files()),
}

CONTEXTS = frozenset(_BUILDERS)


def build_contexts(names: tuple[str, ...], database: Database, settings: Settings) -> dict[str, object]:
    """The named contexts on one database. Raises KeyError for a name that is none."""
    return {name: _BUILDERS[name](database, settings) for name in names}
