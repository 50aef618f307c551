"""Every operation of the API, by context."""

from serve_app.edge.routes import (
    accounts,
    audit,
    factors,
    forms,
    grants,
    identity,
    imports,
    jobs,
    responses,
    tenancy,
    tenants,
    webhooks,
)

OPERATIONS = (
    *identity.OPERATIONS,
    *accounts.OPERATIONS,
    *factors.OPERATIONS,
    *tenants.OPERATIONS,
    *tenancy.OPERATIONS,
    *audit.OPERATIONS,
    *forms.OPERATIONS,
    *grants.OPERATIONS,
    *responses.OPERATIONS,
    *imports.OPERATIONS,
    *jobs.OPERATIONS,
    *webhooks.OPERATIONS,
)
