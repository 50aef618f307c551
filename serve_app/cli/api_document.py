"""The API document without a running edge, and what is made of it for other programs."""

from typing import Any

from deployments.kit.cache import Caches
from serve_app.edge.metrics import Metrics
from serve_app.edge.openapi import document
from serve_app.edge.routes import OPERATIONS
from serve_app.edge.routes.platform import platform_operations
from serve_app.edge.settings import EdgeSettings


def api_document() -> dict[str, Any]:
    """What an edge serves at `/api/v1/openapi.json`."""
    settings = EdgeSettings(object_store_url="memory:///", docs=False)
    metrics = Metrics({}, lambda: 0, Caches())
    return document((*OPERATIONS, *platform_operations(OPERATIONS, settings, metrics)))
