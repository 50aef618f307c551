"""Every operation of the API, by context."""

from serve_app.edge.routes import (
    accounts,
    audit,
    federation,
    forms,
    grants,
    identity,
    imports,
    jobs,
    responses,
    second_factor,
    tenancy,
    tenants,
    webhooks,
)

OPERATIONS = (
    *identity.OPERATIONS,
    *accounts.OPERATIONS,
    *second_factor.OPERATIONS,
    *federation.OPERATIONS,
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
