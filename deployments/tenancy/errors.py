"""What can go wrong with a tenant as a whole."""

from deployments.kit.errors import NotFound


class TenantNotFound(NotFound):
    code, title = "tenant.not_found", "There is no such tenant"
