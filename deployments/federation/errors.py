"""What can go wrong with logging in with a provider."""

from deployments.kit.errors import (
    BadRequest,
    Conflict,
    DomainError,
    Forbidden,
    Invalid,
    NotFound,
    Unauthenticated,
    Unavailable,
)


class ConnectionNotFound(NotFound):
    code, title = "sso.connection_not_found", "There is no such connection"


class InvalidConnection(Invalid):
    code, title = "sso.connection_invalid", "The connection is not valid"


class TooManyConnections(Conflict):
    code, title = "sso.too_many_connections", "The tenant has as many connections as one can"


class ConnectionNeedsPerson(Forbidden):
    """Whoever chooses the provider can become anybody whose e-mail it vouches for, so a leaked key must not."""

    code, title = "sso.needs_person", "An API key cannot change who vouches for people"


class RoleTooHigh(Forbidden):
    code, title = "sso.role_too_high", "Nobody can give a role with more rights than their own"


class UnsafeReturn(Invalid):
    code, title = "sso.return_to_unsafe", "People can only be sent back to a path of this platform"


class LoginStateInvalid(BadRequest):
    """One answer for a login that never began here, began in another browser, is over, or was answered before."""

    code, title = "sso.state_invalid", "This login did not begin in this browser, or it took too long; begin again"


class LoginCodeInvalid(Unauthenticated):
    """One answer for a code that never was, is used, is too old, or belongs to another browser."""

    code, title = "sso.code_invalid", "The login code is not valid; begin again"


class ProviderUnavailable(DomainError):
    status, code, title = 502, "sso.provider_unavailable", "The provider did not answer as it should"


class ProviderBusy(Unavailable):
    code, title = "sso.provider_busy", "Too many logins wait for the provider"


class LoginDenied(Forbidden):
    """The provider says so, be it because the person changed their mind."""

    code, title = "sso.denied", "The provider did not let the person in"


class TokenRefused(Forbidden):
    code, title = "sso.token_refused", "What the provider sent cannot be trusted"


class EmailUnverified(Forbidden):
    code, title = "sso.email_unverified", "The provider does not vouch for an e-mail address"


class DomainRefused(Forbidden):
    code, title = "sso.domain_refused", "People of this e-mail domain do not log in here with this provider"
