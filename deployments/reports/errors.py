"""What can be wrong with a report, or with asking for one."""

from deployments.kit.errors import Conflict, DomainError, Invalid, NotFound
from deployments.kit.quotas import QuotaReached


class FormNotFound(NotFound):
    code, title = "form.not_found", "There is no such form"


class ReportNotFound(NotFound):
    """There is none, it is over, or it holds what the reader does not get to see."""

    code, title = "report.not_found", "There is no such report"


class ReportNotReady(Conflict):
    code, title = "report.not_ready", "The report is not ready"


class KeyMismatch(Invalid):
    code, title = "idempotency.mismatch", "The key was used for another request"


class ReportScheduleNotFound(NotFound):
    code, title = "report_schedule.not_found", "There is no such schedule of reports"


class TypesettingFailed(DomainError):
    """The document could not be typeset in the time and memory that there is."""

    status, code, title = 503, "report.not_typeset", "The document could not be typeset"


class StorageQuotaReached(QuotaReached):
    code, title, quota = "quota.storage", "The tenant's files take as much room as they may", "max_storage_bytes"
