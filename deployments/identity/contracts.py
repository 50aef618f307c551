"""What crosses identity's door: tenants, people, sessions and keys."""

from datetime import datetime
from typing import Annotated, Final, Literal, Protocol

from pydantic import AwareDatetime, EmailStr, Field, StringConstraints

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
from deployments.kit.contract import Contract, Page
from deployments.kit.principal import Principal
from eventing.events.envelope import Origin

TENANT_ID: Final = r"^[a-z0-9][a-z0-9_-]{1,62}$"
TenantId = Annotated[str, Field(pattern=TENANT_ID, description="Slug of the tenant.")]
# Without control characters: PostgreSQL cannot store NUL, and a name ends up in mail headers and log lines.
Name = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$"),
]
NewPassword = Annotated[str, Field(min_length=10, max_length=256, description="At least 10 characters.")]
Switch = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,62}$", description="Name of a route class or feature.")]
WebOrigin = Annotated[
    str,
    Field(
        pattern=r"^(\*|https?://[A-Za-z0-9.\[\]:-]{1,253})$",
        description="An origin as browsers send it (RFC 6454 §6.2), or `*` for any.",
    ),
]
Locale = Annotated[
    str, Field(pattern=r"^[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8}){0,4}$", description="Language tag (RFC 5646).")
]
Role = Literal["owner", "admin", "editor", "analyst", "viewer", "guest"]

MAX_LIMIT: Final = 10**12
"""The highest number a limit can name; no limit is `null`."""


class RateLimit(Contract):
    """How many calls of a class of routes a tenant may make in a minute."""

    per_minute: int | None = Field(default=None, ge=1, le=MAX_LIMIT)


class TenantSettings(Contract):
    """A tenant's quotas and switches. `null` means no limit."""

    max_forms: int | None = Field(default=100, ge=0, le=MAX_LIMIT)
    max_responses_per_form: int | None = Field(default=10_000, ge=0, le=MAX_LIMIT)
    rate_limits: dict[Switch, RateLimit | None] = Field(default_factory=dict, max_length=50)
    features: dict[Switch, bool] = Field(default_factory=dict, max_length=100)
    allowed_origins: list[WebOrigin] = Field(default_factory=list, max_length=100)
    locale: Locale = "en"


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
    expires_at: AwareDatetime | None = None


class PutFormGrant(Contract):
    role: Literal["viewer", "analyst", "editor"]


class FormGrant(PutFormGrant):
    """What one person may do with one form, beyond what their role allows in the whole tenant."""

    form_id: str
    user_id: str
    granted_by: str
    created_at: datetime


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


class IdentityApi(Protocol):
    """Who callers are and what they may do."""

    async def authenticate(self, credential: str) -> Principal:
        """The principal behind an access token or API key. Raises Unauthenticated, or Forbidden when suspended."""
        ...

    async def sign_up(self, origin: Origin, command: SignUp) -> SignedUp: ...

    async def log_in(self, origin: Origin, command: LogIn) -> Session: ...

    async def refresh(self, origin: Origin, command: Refresh) -> Session: ...

    async def log_out(self, principal: Principal, command: Refresh) -> None: ...

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
