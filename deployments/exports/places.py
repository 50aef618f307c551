"""Where the lake lies in the object store."""

from deployments.kit.objects import LAKE, object_key


def lake_folder(tenant_id: str, form_id: str) -> str:
    """Everything of a form's table in the lake is below it."""
    return object_key(tenant_id, LAKE, form_id)
