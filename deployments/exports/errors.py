"""What can be wrong with an export, or with asking for one."""

from deployments.kit.errors import Conflict, NotFound


class FormNotFound(NotFound):
    code, title = "form.not_found", "There is no such form"


class ExportNotFound(NotFound):
    """There is none, it is over, or it holds what the reader does not get to see."""

    code, title = "export.not_found", "There is no such export"


class ExportNotReady(Conflict):
    code, title = "export.not_ready", "The export is not ready"
