"""What crosses identity's door about invitations, and about what somebody may do with a single form."""

from datetime import datetime

from pydantic import EmailStr, Field

from deployments.identity.terms import FormRole, LinkToken, Name, NewPassword, Role
from deployments.kit.contract import Contract


class CreateInvitation(Contract):
    """An invitation to the tenant with a role, or to a single form: then as a guest, with a role for the form."""

    email: EmailStr
    name: Name | None = Field(default=None, description="What the person is called; they may say it differently.")
    role: Role | None = Field(default=None, description="`viewer` when nothing is said, `guest` for a single form.")
    form_id: str | None = Field(default=None, max_length=64, pattern=r"^[^\x00]*$")
    form_role: FormRole | None = Field(default=None, description="Needed with `form_id`, and only then.")


class Invitation(Contract):
    """An invitation that was not accepted yet. After `expires_at` its link works no more, until it is sent again."""

    id: str
    email: str
    name: str
    role: str
    form_id: str | None
    form_role: str | None
    invited_by: str
    created_at: datetime
    expires_at: datetime


class LookUpInvitation(Contract):
    token: LinkToken


class InvitationDetails(Contract):
    """What whoever holds the link may know before they accept."""

    tenant_id: str
    tenant_name: str
    email: str
    name: str
    invited_by: str = Field(description="Name of the person who invited; of the tenant when a program did.")
    form_title: str | None
    has_account: bool = Field(description="Whether to log in and join, or to make an account.")
    expires_at: datetime


class AcceptInvitation(Contract):
    token: LinkToken
    name: Name
    password: NewPassword


class JoinForm(Contract):
    token: LinkToken


class PutFormGrant(Contract):
    role: FormRole


class FormGrant(PutFormGrant):
    """What one person may do with one form, beyond what their role allows in the whole tenant."""

    form_id: str
    user_id: str
    granted_by: str
    created_at: datetime
