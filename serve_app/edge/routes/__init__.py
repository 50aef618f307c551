"""Every operation of the API, by context."""

from serve_app.edge.routes import forms, identity, imports, jobs, responses, tenants, webhooks

OPERATIONS = (
    *identity.OPERATIONS,
    *tenants.OPERATIONS,
    *forms.OPERATIONS,
    *responses.OPERATIONS,
    *imports.OPERATIONS,
    *jobs.OPERATIONS,
    *webhooks.OPERATIONS,
)
