"""Why an import of another backend is not begun, or a run of one not found."""

from deployments.kit.errors import Conflict, NotFound


class RunNotFound(NotFound):
    code, title = "legacy.run_not_found", "There is no such run"


class RunOpen(Conflict):
    """One run at a time changes a tenant."""

    code, title = "legacy.run_open", "Another run of the tenant has not ended"


class RunUnlike(Conflict):
    """What was begun one way is not gone on with another way."""

    code, title = "legacy.run_unlike", "The run was begun with other options"


class RunOver(Conflict):
    code, title = "legacy.run_over", "The run is not in the state for that"


class TenantMissing(NotFound):
    code, title = "legacy.tenant_missing", "There is no such tenant"


class TenantThere(Conflict):
    code, title = "legacy.tenant_there", "There is such a tenant already"
