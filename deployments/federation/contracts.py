"""What crosses the door of federation: providers that a tenant trusts, and the steps of a login."""

from datetime import datetime
from typing import Annotated, Literal, Protocol

from pydantic import Field, SecretStr, StringConstraints

from deployments.identity.contracts import Name, Session
from deployments.kit.contract import Contract, Page
from deployments.kit.principal import Principal
from eventing.events.envelope import Origin

ProvisionedRole = Literal["admin", "editor", "analyst", "viewer", "guest"]
Domain = Annotated[
    str,
    StringConstraints(
        strip_whitespace=True,
        to_lower=True,
        max_length=253,
        pattern=r"^([A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z][A-Za-z0-9-]{0,61}[A-Za-z0-9]$",
    ),
]
ClaimValue = Annotated[str, StringConstraints(min_length=1, max_length=255)]
Scope = Annotated[
    str, Field(max_length=100, pattern=r"^[\x21\x23-\x5b\x5d-\x7e]+$", description="A scope (RFC 6749 §3.3).")
]
Secret = Annotated[SecretStr, Field(min_length=1, max_length=1024)]
ClientId = Annotated[str, StringConstraints(min_length=1, max_length=255, pattern=r"^[\x21-\x7e]+$")]


class Provisioning(Contract):
    """What people from the provider become. Only verified e-mails of `allowed_domains` get in.

    `none`: whoever is linked already logs in, nobody new. `invited`: an account with the same e-mail is linked too,
    so an administrator has added the person before. `auto`: an account is made with `default_role`, or with the highest
    role that `role_map` gives for the values of `role_claim`. With a `role_claim` the provider decides over the role
    at each login, owners excepted; a person without a value in the map has `default_role`.
    """

    mode: Literal["none", "invited", "auto"] = "invited"
    default_role: ProvisionedRole = "viewer"
    allowed_domains: list[Domain] = Field(min_length=1, max_length=100, description="Domains of e-mail addresses.")
    role_claim: ClaimValue | None = Field(default=None, description="Claim of the ID token, a text or a list of texts.")
    role_map: dict[ClaimValue, ProvisionedRole] = Field(default_factory=dict, max_length=100)


class CreateConnection(Contract):
    name: Name
    issuer: str = Field(max_length=1024, description="`iss` of the provider, as its discovery document spells it.")
    client_id: ClientId
    client_secret: Secret
    scopes: list[Scope] = Field(
        default=["openid", "email", "profile"], min_length=1, max_length=20, description="`openid` is always asked for."
    )
    provisioning: Provisioning
    enabled: bool = True
    enforced: bool = Field(
        default=False, description="Whether passwords open no accounts but owners' while the connection is enabled."
    )


class UpdateConnection(Contract):
    """What changes; what is not given stays. With another issuer the client secret has to be given, too."""

    name: Name | None = None
    issuer: str | None = Field(default=None, max_length=1024)
    client_id: ClientId | None = None
    client_secret: Secret | None = None
    scopes: list[Scope] | None = Field(default=None, min_length=1, max_length=20)
    provisioning: Provisioning | None = None
    enabled: bool | None = None
    enforced: bool | None = None


class Connection(Contract):
    """A provider that the tenant trusts; its client secret is never shown."""

    id: str
    name: str
    issuer: str
    client_id: str
    scopes: list[str]
    provisioning: Provisioning
    enabled: bool
    enforced: bool
    redirect_uri: str = Field(description="What the provider has to allow as redirect URI.")
    post_logout_redirect_uri: str = Field(description="What it has to allow as redirect URI after a logout.")
    login_url: str = Field(description="Where a login with the provider begins.")
    created_at: datetime
    updated_at: datetime


class Departure(Contract):
    """Where to send the browser, and what it keeps in a cookie until it comes back."""

    location: str
    browser: str
    life_s: int


class Arrival(Contract):
    """What a provider sent the browser back with (RFC 6749 §4.1.2, RFC 9207)."""

    state: str = Field(default="", max_length=1024)
    code: str | None = Field(default=None, max_length=4096)
    iss: str | None = Field(default=None, max_length=1024)
    error: str | None = Field(default=None, max_length=1024)


class Landing(Contract):
    """Where to send the browser: its fragment has a `login_code`, or the code of an `error`."""

    location: str


class ExchangeCode(Contract):
    code: str = Field(max_length=512, description="The `login_code` of the fragment.")


class LeaveProvider(Contract):
    """The session to end, and where the browser is to be in the end."""

    refresh_token: str = Field(max_length=512)
    return_to: str = Field(default="/", max_length=512)


class LoggedOut(Contract):
    """The session has ended. Where its provider can end its own, that is where to send the browser now."""

    provider_logout_url: str | None = Field(
        description="Address at the provider (RP-Initiated Logout 1.0); null where nothing is left to do."
    )


class FederationApi(Protocol):
    """Logging in with providers that tenants trust."""

    async def create_connection(self, principal: Principal, command: CreateConnection) -> Connection: ...

    async def list_connections(self, principal: Principal, cursor: str | None, limit: int) -> Page[Connection]: ...

    async def get_connection(self, principal: Principal, connection_id: str) -> Connection: ...

    async def update_connection(
        self, principal: Principal, connection_id: str, command: UpdateConnection
    ) -> Connection: ...

    async def delete_connection(self, principal: Principal, connection_id: str) -> None: ...

    async def depart(self, principal: Principal, connection_id: str, return_to: str, browser: str | None) -> Departure:
        """Begin a login; `browser` is the cookie's value, when there is one."""
        ...

    async def arrive(self, origin: Origin, command: Arrival, browser: str | None) -> Landing:
        """Take a provider's answer. Raises LoginStateInvalid unless this browser began and nobody came before."""
        ...

    async def exchange(self, origin: Origin, command: ExchangeCode, browser: str | None) -> Session:
        """A session for a login code, once, in the browser that began."""
        ...

    async def leave(self, principal: Principal, command: LeaveProvider) -> LoggedOut:
        """End the session of the refresh token, and say where the provider's is ended. Raises UnsafeReturn."""
        ...

    async def left(self, state: str) -> Landing:
        """Where to send a browser that comes back from a logout: the start, when nobody knows."""
        ...
