"""The door of analytics, on a warehouse of its own that keeps nothing."""

from db.session import Database
from deployments.analytics.deployment import Analytics
from deployments.analytics.warehouse.warehouse import Warehouse
from deployments.kit.cache import Caches
from deployments.kit.objects import ObjectStore
from deployments.responses.deployment import Responses


def analytics(database: Database, caches: Caches | None = None) -> Analytics:
    """What the platform hosts, by default without caches."""
    return Analytics(database, Warehouse(database, ObjectStore("memory:///"), Responses(database)), caches)
