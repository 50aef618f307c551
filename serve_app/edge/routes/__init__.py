"""Every operation of the API, by context."""

from serve_app.edge.routes import (
    account_mail,
    accounts,
    audit,
    definitions,
    factors,
    forms,
    grants,
    identity,
    imports,
    invitations,
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
    *account_mail.OPERATIONS,
    *invitations.OPERATIONS,
    *factors.OPERATIONS,
    *tenants.OPERATIONS,
    *tenancy.OPERATIONS,
    *audit.OPERATIONS,
    *forms.OPERATIONS,
    *definitions.OPERATIONS,
    *grants.OPERATIONS,
    *responses.OPERATIONS,
    *imports.OPERATIONS,
    *jobs.OPERATIONS,
    *webhooks.OPERATIONS,
)
