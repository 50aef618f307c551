"""What can be wrong with a report, or with asking for one."""

from deployments.kit.errors import Conflict, DomainError, NotFound


class FormNotFound(NotFound):
    code, title = "form.not_found", "There is no such form"


class ReportNotFound(NotFound):
    """There is none, it is over, or it holds what the reader does not get to see."""

    code, title = "report.not_found", "There is no such report"


class ReportNotReady(Conflict):
    code, title = "report.not_ready", "The report is not ready"


class ReportScheduleNotFound(NotFound):
    code, title = "report_schedule.not_found", "There is no such schedule of reports"


class TypesettingFailed(DomainError):
    """The document could not be typeset in the time and memory that there is."""

    status, code, title = 503, "report.not_typeset", "The document could not be typeset"
