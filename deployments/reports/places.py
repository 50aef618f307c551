"""Where reports lie in the object store."""

from deployments.kit.objects import REPORTS, object_key


def report_folder(tenant_id: str, form_id: str, report_id: str) -> str:
    """Everything of one report is below it."""
    return object_key(tenant_id, REPORTS, form_id, report_id)
