"""Every operation of the API, by context."""

from serve_app.edge.routes import (
    accounts,
    audit,
    forms,
    grants,
    identity,
    imports,
    jobs,
    responses,
    sso,
    tenancy,
    tenants,
    webhooks,
)

OPERATIONS = (
    *identity.OPERATIONS,
    *accounts.OPERATIONS,
    *sso.OPERATIONS,
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
