"""Every event type there is, on one page."""

from eventing.events import federation, forms, identity, jobs, responses, tenancy, webhooks
from eventing.events.envelope import EventData

CATALOGUE: tuple[type[EventData], ...] = (
    identity.TenantCreated,
    identity.TenantUpdated,
    tenancy.TenantSuspended,
    tenancy.TenantResumed,
    tenancy.TenantDeleted,
    tenancy.TenantExportRequested,
    tenancy.TenantExported,
    tenancy.TenantErasureRequested,
    tenancy.TenantErased,
    tenancy.QuotaExceeded,
    identity.UserRegistered,
    identity.UserLoggedIn,
    identity.UserLocked,
    identity.UserUpdated,
    identity.PasswordChanged,
    identity.SessionRevoked,
    identity.FormGranted,
    identity.FormGrantRevoked,
    identity.ApiKeyCreated,
    identity.ApiKeyRevoked,
    identity.SigningKeyAdded,
    identity.SigningKeyRevoked,
    federation.SsoConnectionCreated,
    federation.SsoConnectionUpdated,
    federation.SsoConnectionDeleted,
    federation.UserFederated,
    forms.FormCreated,
    forms.FormUpdated,
    forms.FormPublished,
    forms.FormDeleted,
    responses.ResponseSubmitted,
    responses.ResponseDeleted,
    webhooks.WebhookFailed,
    webhooks.WebhookDisabled,
    jobs.JobFailed,
    jobs.ImportCompleted,
)

TYPES = frozenset(kind.type for kind in CATALOGUE)
