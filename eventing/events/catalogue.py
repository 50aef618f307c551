"""Every event type there is, on one page."""

from eventing.events import factors, forms, identity, jobs, responses, tenancy, webhooks
from eventing.events.envelope import EventData

CATALOGUE: tuple[type[EventData], ...] = (
    identity.TenantCreated,
    identity.TenantUpdated,
    tenancy.TenantSuspended,
    tenancy.TenantResumed,
    tenancy.TenantDeleted,
    identity.UserRegistered,
    identity.UserLoggedIn,
    identity.UserLocked,
    identity.UserUpdated,
    identity.PasswordChanged,
    identity.SessionRevoked,
    factors.FactorAdded,
    factors.FactorRemoved,
    factors.RecoveryCodesRenewed,
    factors.RecoveryCodeUsed,
    factors.PhoneChanged,
    identity.FormGranted,
    identity.FormGrantRevoked,
    identity.ApiKeyCreated,
    identity.ApiKeyRevoked,
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
