"""What crosses identity's door: tenants, people, sessions and keys."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal, Protocol

from pydantic import EmailStr, Field

from deployments.identity.factor_contracts import (
    AddedFactor,
    AnswerChallenge,
    ChallengeSent,
    CodeSent,
    ConfirmSetup,
    ConfirmTotp,
    CurrentPassword,
    Enrolled,
    EnrolTotp,
    FactorKind,
    FactorProof,
    Factors,
    Phone,
    PutPhone,
    RecoveryCodes,
    RequestCode,
    SecondFactorLogIn,
    SendSecondFactorCode,
    StartedTotp,
)
from deployments.identity.invitation_contracts import (
    AcceptInvitation,
    CreateInvitation,
    FormGrant,
    Invitation,
    InvitationDetails,
    JoinForm,
    LookUpInvitation,
    PutFormGrant,
)
from deployments.identity.permissions import scopes_of as scopes_of  # for contexts that give roles
from deployments.identity.terms import TENANT_ID as TENANT_ID
from deployments.identity.terms import HostName, LinkToken, Locale, NewPassword, Role, Switch, TenantId, WebOrigin
from deployments.identity.terms import Name as Name
from deployments.identity.terms import RouteClass as RouteClass
from deployments.kit.captcha import ProviderName
from deployments.kit.contract import Contract, Page
from deployments.kit.moments import WrittenMoment
from deployments.kit.principal import Principal
from eventing.events.envelope import Origin

MAX_LIMIT: Final = 10**12
"""The highest number a limit can name; no limit is `null`."""


class RateLimit(Contract):
    """How many calls of a class of routes are answered in a minute; null for any number."""

    per_minute: int | None = Field(default=None, ge=1, le=MAX_LIMIT, description="Of all callers of a tenant together.")
    caller_per_minute: int | None = Field(
        default=None,
        ge=1,
        le=MAX_LIMIT,
        description="Of one user or API key; without a credential of one IPv4 address or /64 of IPv6.",
    )


class TenantSettings(Contract):
    """A tenant's quotas and switches. `null` means no limit."""

    max_forms: int | None = Field(default=100, ge=0, le=MAX_LIMIT)
    max_responses_per_form: int | None = Field(default=10_000, ge=0, le=MAX_LIMIT)
    max_users: int | None = Field(default=None, ge=0, le=MAX_LIMIT, description="Accounts that are not deactivated.")
    max_webhooks: int | None = Field(default=None, ge=0, le=MAX_LIMIT)
    max_storage_bytes: int | None = Field(default=None, ge=0, le=MAX_LIMIT, description="Bytes of files.")
    max_running_jobs: int | None = Field(default=None, ge=1, le=MAX_LIMIT, description="Jobs that run at once.")
    rate_limits: dict[RouteClass, RateLimit | None] = Field(
        default_factory=dict, description="By class of routes; null for none, not even the platform's own."
    )
    features: dict[Switch, bool] = Field(
        default_factory=dict, max_length=100, description="Switches by name; one that is not given is as its default."
    )
    allowed_origins: list[WebOrigin] = Field(default_factory=list, max_length=100)
    hosts: list[HostName] = Field(
        default_factory=list, max_length=20, description="Host names that select this tenant; no two tenants share one."
    )
    locale: Locale = "en"


class Maintenance(Contract):
    """Nothing is changed meanwhile, and everything can be read. `until` is what callers are told, and ends nothing."""

    reason: str = ""
    since: datetime
    until: datetime | None = None


class TenantProfile(Contract):
    """What must be known of a tenant before a request is its own; `maintenance` is the platform's, and only its own
    profile has it."""

    id: str
    status: Literal["active", "suspended", "deleted"]
    hosts: list[str] = Field(default_factory=list)
    allowed_origins: list[str] = Field(default_factory=list)
    rate_limits: dict[RouteClass, RateLimit | None] = Field(default_factory=dict)
    maintenance: Maintenance | None = None


class Tenant(Contract):
    """A customer of the platform."""

    id: TenantId
    name: str
    status: Literal["active", "suspended", "deleted"]
    settings: TenantSettings
    created_at: datetime
    updated_at: datetime
    deleted_at: datetime | None = None
    erase_after: datetime | None = Field(
        default=None, description="Until this moment a deleted tenant can be resumed; afterwards it may be erased."
    )
    erased_at: datetime | None = Field(default=None, description="Since then nothing but the id is left of the tenant.")


class NewTenant(Contract):
    id: TenantId
    name: Name


class NewUser(Contract):
    email: EmailStr
    password: NewPassword
    name: Name


class SignUp(Contract):
    """A new tenant and its first person, who owns it."""

    tenant: NewTenant
    user: NewUser


@dataclass(frozen=True, slots=True)
class CarriedUser:
    """An account of another backend. It comes without a password: its person asks for a letter and chooses one."""

    email: str
    name: str
    role: str
    active: bool
    created_at: datetime | None


class CreateTenant(Contract):
    """A tenant made by a platform administrator."""

    id: TenantId
    name: Name
    settings: TenantSettings = Field(default_factory=TenantSettings)
    owner: NewUser | None = None


class UpdateTenant(Contract):
    """What changes. Only the settings that are given change; `features` and `rate_limits` are merged key by key."""

    name: Name | None = None
    settings: TenantSettings | None = None


class LogIn(Contract):
    """`tenant` is null for a platform administrator."""

    tenant: str | None = None
    email: str = Field(max_length=320, pattern=r"^[^\x00]*$")
    password: str = Field(max_length=256)


class FederatedLogin(Contract):
    """What a provider vouched for, and what the tenant's rules make of it. Only the platform itself says this.

    An account with the e-mail is linked when `link` says so, and made when `create` does. `role` is what a new
    account gets; with `keep_role` off, what an account that is no owner's has from now on. `sealed` is kept with the
    session, for whoever can open it.
    """

    tenant_id: TenantId
    connection_id: str
    issuer: str
    subject: str = Field(min_length=1, max_length=255)
    email: EmailStr
    name: Name
    link: bool
    create: bool
    role: Literal["admin", "editor", "analyst", "viewer", "guest"]
    keep_role: bool
    sealed: str = ""


class ProviderLogin(Contract):
    """The login with a provider that a session began with."""

    connection_id: str
    sealed: str


class Refresh(Contract):
    refresh_token: str = Field(max_length=512)


class Session(Contract):
    """Tokens as in OAuth 2.0 (RFC 6749 §5.1). The refresh token can be used once."""

    access_token: str
    refresh_token: str
    token_type: Literal["Bearer"] = "Bearer"  # noqa: S105 - the kind of token, not a token
    expires_in: int = Field(description="Life of the access token in seconds.")


class SignedUp(Session):
    tenant: Tenant


class User(Contract):
    id: str
    email: str
    name: str
    role: str
    status: str
    created_at: datetime
    email_verified_at: datetime | None = None


class CreateUser(Contract):
    email: EmailStr
    password: NewPassword
    name: Name
    role: Role = "viewer"


class UpdateUser(Contract):
    """What changes; what is not given stays."""

    name: Name | None = None
    role: Role | None = None
    status: Literal["active", "deactivated"] | None = None


class ChangePassword(Contract):
    current_password: str = Field(max_length=256)
    new_password: NewPassword


class VerifyEmail(Contract):
    token: LinkToken


class ChangeEmail(Contract):
    email: EmailStr
    current_password: str = Field(max_length=256)


class ForgotPassword(Contract):
    """`tenant` is null for a platform administrator."""

    tenant: str | None = Field(default=None, max_length=63, pattern=r"^[^\x00]*$")
    email: str = Field(max_length=320, pattern=r"^[^\x00]*$")


class ResetPassword(Contract):
    token: LinkToken
    new_password: NewPassword


class OpenSession(Contract):
    """Somebody who logged in and can still refresh."""

    id: str
    created_at: datetime
    last_used_at: datetime
    expires_at: datetime
    address: str
    user_agent: str
    current: bool = Field(description="Whether it is the session that asks.")
    amr: list[str] = Field(default_factory=list, description="How the person logged in, in the words of RFC 8176.")


class Me(Contract):
    """The caller, as the platform sees it."""

    tenant_id: str | None
    subject: str
    kind: Literal["user", "api_key"]
    role: str
    scopes: list[str]
    user: User | None = None


class CreateApiKey(Contract):
    name: Name
    scopes: list[str] = Field(min_length=1, max_length=50)
    expires_at: WrittenMoment | None = None


class ApiKey(Contract):
    id: str
    name: str
    prefix: str = Field(description="The first characters of the key, to recognise it.")
    scopes: list[str]
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None
    revoked_at: datetime | None


class CreatedApiKey(ApiKey):
    key: str = Field(description="The key itself; shown this once.")


class PublicKey(Contract):
    """A key that verifies access tokens (JWK, RFC 7517; RFC 8037 for `OKP`)."""

    kty: Literal["EC", "OKP"]
    crv: Literal["P-256", "Ed25519"]
    x: str
    y: str | None = None
    kid: str
    alg: Literal["ES256", "EdDSA"]
    use: Literal["sig"] = "sig"


class PublicKeys(Contract):
    """A JWK set (RFC 7517 §5)."""

    keys: list[PublicKey]


class PutCaptcha(Contract):
    """A tenant's account at a provider that speaks `siteverify`, as Turnstile, hCaptcha and reCAPTCHA do."""

    provider: ProviderName
    site_key: str = Field(min_length=1, max_length=200, pattern=r"^[A-Za-z0-9_.-]+$")
    secret: str = Field(min_length=1, max_length=500, repr=False, description="Encrypted, and never shown.")
    verify_url: str | None = Field(
        default=None, max_length=2_048, description="Where tokens are verified, if not at the provider's own address."
    )


class Captcha(Contract):
    """A tenant's account at a captcha provider; its secret is never shown."""

    provider: ProviderName
    site_key: str
    verify_url: str
    updated_by: str
    updated_at: datetime


class CredentialsApi(Protocol):
    """What is asked of identity on the way of every request."""

    async def authenticate(self, credential: str) -> Principal:
        """The principal behind an access token or API key. Raises Unauthenticated, or Forbidden when suspended."""
        ...

    async def find_tenant(self, tenant_id: str) -> TenantProfile | None:
        """The tenant of this id, whatever its status. For the platform itself: no caller is asked for rights."""
        ...

    async def find_tenant_by_host(self, host: str) -> TenantProfile | None:
        """The tenant to which this host name was given."""
        ...


class IdentityApi(CredentialsApi, Protocol):
    """Who callers are and what they may do."""

    async def signing_keys(self) -> list[PublicKey]:
        """The keys by which anybody can verify access tokens; none for those that are secret on both sides."""
        ...

    async def sign_up(self, origin: Origin, command: SignUp) -> SignedUp: ...

    async def log_in(self, origin: Origin, command: LogIn) -> Session: ...

    async def log_in_federated(self, origin: Origin, command: FederatedLogin) -> Session:
        """A session for whom a provider vouched for; for other contexts, no operation leads here.

        Raises AccountRefused, TenantSuspended.
        """
        ...

    async def refresh(self, origin: Origin, command: Refresh) -> Session: ...

    async def log_out(self, principal: Principal, command: Refresh) -> ProviderLogin | None:
        """End the session; the provider's login that it began with, if it did."""
        ...

    async def request_code(self, origin: Origin, command: RequestCode) -> ChallengeSent: ...

    async def verify_code(self, origin: Origin, command: AnswerChallenge) -> Session: ...

    async def show_second_factor(self, origin: Origin, command: SecondFactorLogIn) -> Session: ...

    async def send_second_factor_code(self, origin: Origin, command: SendSecondFactorCode) -> CodeSent: ...

    async def start_setup(self, origin: Origin, command: EnrolTotp) -> StartedTotp: ...

    async def confirm_setup(self, origin: Origin, command: ConfirmSetup) -> Enrolled: ...

    async def list_factors(self, principal: Principal) -> Factors: ...

    async def start_totp(self, principal: Principal, command: CurrentPassword) -> StartedTotp: ...

    async def confirm_totp(self, principal: Principal, command: ConfirmTotp) -> RecoveryCodes: ...

    async def add_code_factor(
        self, principal: Principal, channel: Literal["email", "sms"], command: CurrentPassword
    ) -> AddedFactor: ...

    async def remove_factor(self, principal: Principal, kind: FactorKind, proof: FactorProof) -> None: ...

    async def renew_recovery_codes(self, principal: Principal, proof: FactorProof) -> RecoveryCodes: ...

    async def put_phone(self, principal: Principal, command: PutPhone) -> ChallengeSent: ...

    async def verify_phone(self, principal: Principal, command: AnswerChallenge) -> Phone: ...

    async def remove_phone(self, principal: Principal, proof: FactorProof) -> None: ...

    async def reset_factors(self, principal: Principal, user_id: str) -> None: ...

    async def me(self, principal: Principal) -> Me: ...

    async def create_api_key(self, principal: Principal, command: CreateApiKey) -> CreatedApiKey: ...

    async def list_api_keys(self, principal: Principal, cursor: str | None, limit: int) -> Page[ApiKey]: ...

    async def revoke_api_key(self, principal: Principal, api_key_id: str) -> None: ...

    async def list_form_grants(
        self, principal: Principal, form_id: str, cursor: str | None, limit: int
    ) -> Page[FormGrant]: ...

    async def put_form_grant(
        self, principal: Principal, form_id: str, user_id: str, command: PutFormGrant
    ) -> FormGrant: ...

    async def delete_form_grant(self, principal: Principal, form_id: str, user_id: str) -> None: ...

    async def create_user(self, principal: Principal, command: CreateUser) -> User: ...

    async def list_users(self, principal: Principal, cursor: str | None, limit: int) -> Page[User]: ...

    async def get_user(self, principal: Principal, user_id: str) -> User: ...

    async def update_user(self, principal: Principal, user_id: str, command: UpdateUser) -> User: ...

    async def change_password(self, principal: Principal, command: ChangePassword) -> None: ...

    async def verify_email(self, origin: Origin, command: VerifyEmail) -> None: ...

    async def resend_verification(self, principal: Principal) -> None: ...

    async def change_email(self, principal: Principal, command: ChangeEmail) -> None: ...

    async def forgot_password(self, origin: Origin, command: ForgotPassword) -> None: ...

    async def reset_password(self, origin: Origin, command: ResetPassword) -> None: ...

    async def create_invitation(self, principal: Principal, command: CreateInvitation) -> Invitation: ...

    async def list_invitations(self, principal: Principal, cursor: str | None, limit: int) -> Page[Invitation]: ...

    async def resend_invitation(self, principal: Principal, invitation_id: str) -> Invitation: ...

    async def revoke_invitation(self, principal: Principal, invitation_id: str) -> None: ...

    async def look_up_invitation(self, command: LookUpInvitation) -> InvitationDetails: ...

    async def accept_invitation(self, origin: Origin, command: AcceptInvitation) -> Session: ...

    async def join_form(self, principal: Principal, command: JoinForm) -> FormGrant: ...

    async def list_sessions(self, principal: Principal, user_id: str) -> Page[OpenSession]: ...

    async def revoke_session(self, principal: Principal, user_id: str, session_id: str) -> None: ...

    async def revoke_sessions(self, principal: Principal, user_id: str) -> None: ...

    async def create_tenant(self, principal: Principal, command: CreateTenant) -> Tenant: ...

    async def list_tenants(self, principal: Principal, cursor: str | None, limit: int) -> Page[Tenant]: ...

    async def get_tenant(self, principal: Principal, tenant_id: str) -> Tenant: ...

    async def update_tenant(self, principal: Principal, tenant_id: str, command: UpdateTenant) -> Tenant: ...

    async def suspend_tenant(self, principal: Principal, tenant_id: str) -> Tenant: ...

    async def resume_tenant(self, principal: Principal, tenant_id: str) -> Tenant: ...

    async def delete_tenant(self, principal: Principal, tenant_id: str) -> Tenant: ...

    async def get_captcha(self, principal: Principal) -> Captcha: ...

    async def put_captcha(self, principal: Principal, command: PutCaptcha) -> Captcha: ...

    async def remove_captcha(self, principal: Principal) -> None: ...
