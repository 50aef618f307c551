"""Where exports and the lake lie in the object store."""

from deployments.kit.objects import EXPORTS, LAKE, object_key


def export_folder(tenant_id: str, form_id: str, export_id: str) -> str:
    """Everything of one export is below it."""
    return object_key(tenant_id, EXPORTS, form_id, export_id)


def lake_folder(tenant_id: str, form_id: str) -> str:
    """Everything of a form's table in the lake is below it."""
    return object_key(tenant_id, LAKE, form_id)
