"""Facts about tenants, people and credentials."""

from dataclasses import dataclass
from typing import ClassVar

from eventing.events.envelope import EventData


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantCreated(EventData):
    """A tenant signed up or was created by an administrator."""

    type: ClassVar[str] = "tenant.created"
    entity: ClassVar[str] = "tenant_id"
    tenant_id: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantUpdated(EventData):
    """A tenant's name, status or settings changed."""

    type: ClassVar[str] = "tenant.updated"
    entity: ClassVar[str] = "tenant_id"
    tenant_id: str
    changed: list[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class UserRegistered(EventData):
    """A person got an account."""

    type: ClassVar[str] = "user.registered"
    entity: ClassVar[str] = "user_id"
    user_id: str
    email: str
    role: str


@dataclass(frozen=True, slots=True, kw_only=True)
class UserLoggedIn(EventData):
    """A person logged in."""

    type: ClassVar[str] = "user.logged_in"
    entity: ClassVar[str] = "user_id"
    user_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class UserLocked(EventData):
    """There were so many wrong passwords that nobody gets into the account for a while."""

    type: ClassVar[str] = "user.locked"
    entity: ClassVar[str] = "user_id"
    user_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class UserUpdated(EventData):
    """A person's name, role or status changed; these are the role and the status after it."""

    type: ClassVar[str] = "user.updated"
    entity: ClassVar[str] = "user_id"
    user_id: str
    changed: list[str]
    role: str
    status: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PasswordChanged(EventData):
    """A person has another password; their other sessions have ended."""

    type: ClassVar[str] = "user.password_changed"
    entity: ClassVar[str] = "user_id"
    user_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionRevoked(EventData):
    """One session of a person, or all but the one that asked, were ended."""

    type: ClassVar[str] = "session.revoked"
    entity: ClassVar[str] = "user_id"
    user_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FormGranted(EventData):
    """A person may use a form, beyond what their role allows."""

    type: ClassVar[str] = "form.granted"
    entity: ClassVar[str] = "form_id"
    form_id: str
    user_id: str
    role: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FormGrantRevoked(EventData):
    """A person's grant for a form was taken back."""

    type: ClassVar[str] = "form.grant_revoked"
    entity: ClassVar[str] = "form_id"
    form_id: str
    user_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKeyCreated(EventData):
    """A program got a credential."""

    type: ClassVar[str] = "api_key.created"
    entity: ClassVar[str] = "api_key_id"
    api_key_id: str
    name: str
    scopes: list[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKeyRevoked(EventData):
    """A program's credential stopped being valid."""

    type: ClassVar[str] = "api_key.revoked"
    entity: ClassVar[str] = "api_key_id"
    api_key_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningKeyAdded(EventData):
    """Access tokens will be signed with another key."""

    type: ClassVar[str] = "signing_key.added"
    entity: ClassVar[str] = "signing_key_id"
    signing_key_id: str
    algorithm: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningKeyRevoked(EventData):
    """Nothing that the key signed is accepted any more."""

    type: ClassVar[str] = "signing_key.revoked"
    entity: ClassVar[str] = "signing_key_id"
    signing_key_id: str
