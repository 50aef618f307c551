"""Facts about what people do with letters about their accounts."""

from dataclasses import dataclass
from typing import ClassVar

from eventing.events.envelope import EventData


@dataclass(frozen=True, slots=True, kw_only=True)
class EmailVerified(EventData):
    """A person showed that they get the mail of their address."""

    type: ClassVar[str] = "user.email_verified"
    entity: ClassVar[str] = "user_id"
    user_id: str
    email: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EmailChanged(EventData):
    """A person has another e-mail address, and showed that they get its mail."""

    type: ClassVar[str] = "user.email_changed"
    entity: ClassVar[str] = "user_id"
    user_id: str
    email: str
    previous_email: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PasswordResetRequested(EventData):
    """Somebody asked for a new password of an account that there is."""

    type: ClassVar[str] = "user.password_reset_requested"
    entity: ClassVar[str] = "user_id"
    user_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class InvitationCreated(EventData):
    """Somebody was invited: to the tenant with a role, or as a guest to one form with a role for it."""

    type: ClassVar[str] = "invitation.created"
    entity: ClassVar[str] = "invitation_id"
    invitation_id: str
    email: str
    role: str
    form_id: str | None
    form_role: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class InvitationRevoked(EventData):
    """An invitation was taken back, or another one took its place."""

    type: ClassVar[str] = "invitation.revoked"
    entity: ClassVar[str] = "invitation_id"
    invitation_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class InvitationAccepted(EventData):
    """Whoever was invited accepted it."""

    type: ClassVar[str] = "invitation.accepted"
    entity: ClassVar[str] = "invitation_id"
    invitation_id: str
    user_id: str
    form_id: str | None
