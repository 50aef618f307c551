"""What can go wrong with a tenant as a whole."""

from deployments.kit.errors import Conflict, Invalid, NotFound


class TenantNotFound(NotFound):
    code, title = "tenant.not_found", "There is no such tenant"


class ExportNotFound(NotFound):
    """There never was one, or it has expired."""

    code, title = "export.not_found", "There is no such export"


class ExportNotReady(Conflict):
    code, title = "export.not_ready", "The export is not finished"


class ErasureUnconfirmed(Invalid):
    code, title = "erasure.unconfirmed", "The confirmation does not name the tenant"


class TenantNotDeleted(Conflict):
    """What is erased cannot be brought back, so deleting comes first."""

    code, title = "erasure.not_deleted", "Only a deleted tenant can be erased"


class TenantInGrace(Conflict):
    code, title = "erasure.in_grace", "The grace period of the tenant is not over"


class TenantErased(Conflict):
    code, title = "erasure.done", "The tenant is erased already"


class ReceiptNotFound(NotFound):
    code, title = "receipt.not_found", "There is no receipt for such a tenant"


class ErasureNotFound(NotFound):
    code, title = "erasure.not_found", "There is no such erasure"


class PersonReceiptNotFound(NotFound):
    """Until the erasure has ended, and for a dry run."""

    code, title = "receipt.not_found", "There is no receipt for this erasure"
