"""What can be wrong with an export, or with asking for one."""

from deployments.kit.errors import Conflict, Invalid, NotFound
from deployments.kit.quotas import QuotaReached


class FormNotFound(NotFound):
    code, title = "form.not_found", "There is no such form"


class ExportNotFound(NotFound):
    """There is none, it is over, or it holds what the reader does not get to see."""

    code, title = "export.not_found", "There is no such export"


class ExportNotReady(Conflict):
    code, title = "export.not_ready", "The export is not ready"


class KeyMismatch(Invalid):
    code, title = "idempotency.mismatch", "The key was used for another request"


class StorageQuotaReached(QuotaReached):
    code, title, quota = "quota.storage", "The tenant's files take as much room as they may", "max_storage_bytes"
