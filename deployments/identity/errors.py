"""What identity refuses."""

from deployments.kit.errors import BadRequest, Conflict, Forbidden, NotFound, TooManyRequests, Unauthenticated
from deployments.kit.quotas import QuotaReached


class LoginFailed(Unauthenticated):
    """One answer for an unknown tenant, an unknown account and a wrong password."""

    code, title = "login.failed", "The e-mail or the password is not right"


class LoginLimited(TooManyRequests):
    """The same for accounts that exist and for those that do not."""

    code, title = "login.limited", "There were too many attempts to log in; try again later"


class PasswordsBusy(TooManyRequests):
    """Hashing is expensive on purpose, so only so many calls may wait for it."""

    code, title = "login.busy", "Too many people are logging in at the moment"


class AccountRefused(Forbidden):
    """One answer for nobody, for somebody who is deactivated and for somebody who may not be linked."""

    code, title = "login.account_refused", "There is no account here that this login may open"


class FederatedOnly(Forbidden):
    """Said to people who know their password only."""

    code, title = "login.federated_only", "People of this tenant log in with their provider"


class SignupDisabled(Forbidden):
    code, title = "signup.disabled", "Signing up is switched off; ask the operator for a tenant"


class TenantNotFound(NotFound):
    code, title = "tenant.not_found", "There is no such tenant"


class TenantTaken(Conflict):
    code, title = "tenant.taken", "The tenant id is taken"


class SettingProtected(Forbidden):
    """Quotas and switches belong to the platform, not to the tenant."""

    code, title = "tenant.setting_protected", "Only a platform administrator may change this setting"


class HostTaken(Conflict):
    code, title = "tenant.host_taken", "The host name leads to another tenant"


class UserQuotaReached(QuotaReached):
    code, title, quota = "quota.users", "The tenant has as many people as it may", "max_users"


class EmailTaken(Conflict):
    code, title = "user.email_taken", "The tenant has a user with this e-mail"


class OwnAccess(Conflict):
    """Somebody else has to do it: who takes their own rights away by mistake cannot get them back."""

    code, title = "user.own_access", "Nobody can change their own role or status"


class LastOwner(Conflict):
    code, title = "user.last_owner", "A tenant keeps at least one active owner"


class SessionNotFound(NotFound):
    code, title = "session.not_found", "There is no such session"


class RoleTooHigh(Forbidden):
    code, title = "user.role_too_high", "Nobody can give a role with more rights than their own"


class ApiKeyNotFound(NotFound):
    code, title = "api_key.not_found", "There is no such API key"


class ApiKeyNeedsPerson(Forbidden):
    """A leaked key must not be able to outlive its revocation through keys it made."""

    code, title = "api_key.needs_person", "An API key cannot create API keys"


class ScopeNotHeld(Forbidden):
    code, title = "api_key.scope_not_held", "A key cannot do what its creator may not do"


class UserNotFound(NotFound):
    code, title = "user.not_found", "There is no such user"


class FormNotFound(NotFound):
    code, title = "form.not_found", "There is no such form"


class GrantNotFound(NotFound):
    code, title = "grant.not_found", "There is no such grant"


class TooManyGrants(Conflict):
    """Grants travel with each call of a person, so their number is bounded."""

    code, title = "grant.too_many", "The person uses as many single forms as one can"


class EmailUnverified(Forbidden):
    """Said only to whoever knew the password. Choosing a new password by mail verifies the address, too."""

    code, title = "login.email_unverified", "Confirm the e-mail first, with the link in the letter"


class TokenInvalid(BadRequest):
    """One answer for links that were used, expired, taken back, meant for something else or never made."""

    code, title = "token.invalid", "The link is not valid any more"


class TooManyLetters(TooManyRequests):
    code, title = "letters.limited", "Too many letters were asked for; try again later"


class NotAPerson(Forbidden):
    code, title = "account.needs_person", "Only a person has an e-mail address and a password"


class InvitationNotFound(NotFound):
    code, title = "invitation.not_found", "There is no such invitation"


class AlreadyMember(Conflict):
    code, title = "invitation.already_member", "The tenant has a user with this e-mail"


class AccountExists(Conflict):
    """Said only to whoever holds the invitation's link."""

    code, title = "invitation.account_exists", "There is an account with this e-mail; log in to accept the invitation"


class CodeFailed(Unauthenticated):
    """One answer for a wrong code and for a challenge that is unknown, used, expired or out of tries."""

    code, title = "login.code_failed", "The code is not right, or not valid any more"


class CodeLimited(TooManyRequests):
    """The same for accounts that exist and for those that do not."""

    code, title = "login.code_limited", "There were too many codes; try again later"


class SecondFactorRequired(Unauthenticated):
    """The password is right. The members `challenge`, `methods`, `channels` and `expires_in` say how to go on."""

    code, title = "login.second_factor", "A second factor is required"


class SecondFactorSetupRequired(Unauthenticated):
    """The password is right. The members `challenge` and `expires_in` let the person set a second factor up."""

    code, title = "login.second_factor_required_setup", "The tenant requires a second factor; set one up"


class FactorNotFound(NotFound):
    code, title = "factor.not_found", "There is no such second factor"


class FactorExists(Conflict):
    """To change it, remove it first."""

    code, title = "factor.exists", "There is such a second factor already"


class PhoneMissing(Conflict):
    code, title = "phone.missing", "A verified telephone number is needed first"


class OwnFactors(Conflict):
    """A stolen session must not be able to shed them."""

    code, title = "factor.own", "Remove your own factors with your password"


class CaptchaNotFound(NotFound):
    code, title = "captcha.not_found", "The tenant has no captcha provider"
