"""The rules of invitations: to a tenant with a role, or to a single form as its guest."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final, get_args

from db.models.identity import User
from db.models.invitations import Invitation as InvitationRow
from db.repositories.forms import FormRepository
from db.repositories.grants import FormGrantRepository
from db.repositories.invitations import InvitationDirectory, InvitationRepository
from db.repositories.tenants import TenantRepository
from db.repositories.users import UserRepository
from db.session import UnitOfWork
from db.types import new_id, utc_now
from deployments.identity.contracts import Session
from deployments.identity.errors import (
    AccountExists,
    AlreadyMember,
    EmailTaken,
    FormNotFound,
    InvitationNotFound,
    NotAPerson,
    RoleTooHigh,
    TokenInvalid,
)
from deployments.identity.invitation_contracts import (
    AcceptInvitation,
    CreateInvitation,
    FormGrant,
    Invitation,
    InvitationDetails,
    PutFormGrant,
)
from deployments.identity.letters import Letters
from deployments.identity.permissions import GRANTS
from deployments.identity.service import grants, sessions, users, verification
from deployments.identity.service.link_tokens import new_secret
from deployments.identity.service.paging import after, page
from deployments.identity.settings import IdentitySettings
from deployments.identity.terms import FormRole
from deployments.identity.tokens import AccessTokens, fingerprint
from deployments.kit.audit import audit
from deployments.kit.contract import Page
from deployments.kit.errors import Fault, Invalid
from deployments.kit.principal import Principal
from deployments.kit.tenants import require_active_tenant, require_customer
from eventing.events.accounts import InvitationAccepted, InvitationCreated, InvitationRevoked
from eventing.events.envelope import Origin
from eventing.outbox import record

LIFE: Final = timedelta(days=7)
"""How long the link of an invitation works."""

_SHARE: Final = "forms:share"
_INVITE: Final = "users:write"
_GUEST: Final = "guest"


@dataclass(frozen=True, slots=True)
class Found:
    """Where an invitation whose link seemed valid is kept."""

    tenant_id: str
    id: str
    token_hash: str


def require_creation(principal: Principal, command: CreateInvitation) -> None:
    """Raise Forbidden, TenantRequired, Invalid with every fault, or RoleTooHigh."""
    principal.require(_SHARE if command.form_id is not None else _INVITE)
    require_customer(principal)
    if faults := tuple(_faults(command)):
        raise Invalid(faults=faults)
    if command.form_id is None:
        users.refuse_higher(principal, _role(command))
    elif command.form_role is not None and not all(map(principal.may, GRANTS[command.form_role])):
        raise RoleTooHigh


async def create(unit: UnitOfWork, letters: Letters, principal: Principal, command: CreateInvitation) -> Invitation:
    """The invitation, in the place of an earlier one to the same. Raises FormNotFound, AlreadyMember."""
    # One at a time: of two for the same e-mail the second one has to find the first.
    await TenantRepository(unit.session, unit.tenant).get_locked()
    email = users.normalise_email(command.email)
    if command.form_id is None:
        if await UserRepository(unit.session, unit.tenant).find_by_email(email) is not None:
            raise AlreadyMember
    elif await FormRepository(unit.session, unit.tenant).find(command.form_id) is None:
        raise FormNotFound
    repository = InvitationRepository(unit.session, unit.tenant)
    if (earlier := await repository.remove_pending(email, command.form_id)) is not None:
        _record_revoked(unit, principal, earlier)
    secret, now = new_secret(), utc_now()
    row = InvitationRow(
        tenant_id=unit.tenant,
        id=new_id("inv"),
        email=email,
        name=command.name or "",
        role=_role(command),
        form_id=command.form_id,
        form_role=command.form_role,
        token_hash=fingerprint(secret),
        invited_by=principal.subject,
        created_at=now,
        expires_at=now + LIFE,
    )
    await repository.add(row)
    fact = InvitationCreated(
        invitation_id=row.id, email=row.email, role=row.role, form_id=row.form_id, form_role=row.form_role
    )
    record(unit, fact, actor=principal.subject, origin=principal.origin)
    await _write(unit, letters, row, secret, by=principal.subject)
    return _to_invitation(row)


async def list_all(unit: UnitOfWork, principal: Principal, cursor: str | None, limit: int) -> Page[Invitation]:
    """Invitations that were not accepted yet, oldest first; those to single forms for who may not see people."""
    principal.require(_SHARE)
    repository = InvitationRepository(unit.session, unit.tenant)
    rows = await repository.page(after(cursor), limit + 1, to_forms_only=not principal.may("users:read"))
    return page(rows, limit, _to_invitation)


async def recipient(unit: UnitOfWork, principal: Principal, invitation_id: str) -> str:
    """The e-mail that an invitation goes to. Raises InvitationNotFound."""
    return (await _mine(unit, principal, invitation_id)).email


async def resend(unit: UnitOfWork, letters: Letters, principal: Principal, invitation_id: str) -> Invitation:
    """The invitation with a new link and seven more days; the old link works no more. Raises InvitationNotFound."""
    row = await _mine(unit, principal, invitation_id)
    secret, expires_at = new_secret(), utc_now() + LIFE
    if not await InvitationRepository(unit.session, unit.tenant).renew(row.id, fingerprint(secret), expires_at):
        raise InvitationNotFound
    audit(unit, principal, "invitation.resent", row.id)
    await _write(unit, letters, row, secret, by=principal.subject)
    return _to_invitation(row).model_copy(update={"expires_at": expires_at})


async def revoke(unit: UnitOfWork, principal: Principal, invitation_id: str) -> None:
    """Take an invitation back. Raises InvitationNotFound."""
    row = await _mine(unit, principal, invitation_id)
    if not await InvitationRepository(unit.session, unit.tenant).remove(row.id):
        raise InvitationNotFound
    _record_revoked(unit, principal, row.id)


async def find(unit: UnitOfWork, token: str) -> Found:
    """Where the invitation is kept, before anything expensive is done for it. Raises TokenInvalid."""
    token_hash = fingerprint(token)
    row = await InvitationDirectory(unit.session).find_in_any_tenant(token_hash)
    if row is None or row.expires_at <= utc_now():
        raise TokenInvalid
    return Found(row.tenant_id, row.id, token_hash)


async def look_up(unit: UnitOfWork, found: Found) -> InvitationDetails:
    """What the holder of the link may know. Raises TokenInvalid, TenantSuspended."""
    row = await _valid(unit, found)
    tenant = await TenantRepository(unit.session, unit.tenant).get()
    account = await UserRepository(unit.session, unit.tenant).find_by_email(row.email)
    return InvitationDetails(
        tenant_id=unit.tenant,
        tenant_name=tenant.name if tenant is not None else unit.tenant,
        email=row.email,
        name=row.name,
        invited_by=await _inviter(unit, row),
        form_title=await _title(unit, row),
        has_account=account is not None,
        expires_at=row.expires_at,
    )


async def email_of(unit: UnitOfWork, found: Found) -> str:
    """The e-mail of whoever may make an account with the link. Raises TokenInvalid, TenantSuspended, AccountExists."""
    row = await _valid(unit, found)
    if await UserRepository(unit.session, unit.tenant).find_by_email(row.email) is not None:
        raise AccountExists
    return row.email


async def accept(
    unit: UnitOfWork,
    tokens: AccessTokens,
    settings: IdentitySettings,
    origin: Origin,
    found: Found,
    command: AcceptInvitation,
    hashed: str,
) -> Session:
    """The first session of the new person. Raises TokenInvalid, TenantSuspended, AccountExists."""
    row = await _taken(unit, found)
    user = User(
        tenant_id=unit.tenant,
        id=new_id("usr"),
        email=row.email,
        name=command.name,
        role=row.role,
        password_hash=hashed,
        created_at=utc_now(),
        email_verified_at=utc_now(),
    )
    try:
        await users.add(unit, user, actor=user.id, origin=origin)
    except EmailTaken:
        raise AccountExists from None
    await _accepted(unit, row, Principal(unit.tenant, user.id, "user", origin=origin))
    return sessions.begin(unit, tokens, settings, user, origin)


async def join(unit: UnitOfWork, principal: Principal, found: Found) -> FormGrant:
    """The grant of somebody who has an account. Raises TokenInvalid, for another person's invitation too,
    NotAPerson, AlreadyMember for an invitation to the tenant, TooManyGrants."""
    if principal.kind != "user":
        raise NotAPerson
    user = await UserRepository(unit.session, unit.tenant).get_locked(principal.subject)
    if user is None or found.tenant_id != unit.tenant:
        raise TokenInvalid
    row = await _taken(unit, found)
    if row.email != user.email:
        raise TokenInvalid
    verification.note_verified(unit, user, principal.origin)
    granted = await _accepted(unit, row, principal)
    if granted is None:
        raise AlreadyMember
    return granted


async def _accepted(unit: UnitOfWork, row: InvitationRow, actor: Principal) -> FormGrant | None:
    """Note who accepted, with the grant for the form when it was to one."""
    fact = InvitationAccepted(invitation_id=row.id, user_id=actor.subject, form_id=row.form_id)
    record(unit, fact, actor=actor.subject, origin=actor.origin)
    role = _form_role(row)
    if row.form_id is None or role is None:
        return None
    known = await FormGrantRepository(unit.session, unit.tenant).find(row.form_id, actor.subject)
    if known is not None and GRANTS.get(known.role, frozenset()) > GRANTS[role]:
        return FormGrant.model_validate(known.model_dump(exclude={"tenant_id"}))
    return await grants.give(unit, row.invited_by, actor, row.form_id, actor.subject, PutFormGrant(role=role))


async def _taken(unit: UnitOfWork, found: Found) -> InvitationRow:
    """The invitation, removed: of many who accept at once, one gets it."""
    row = await _valid(unit, found)
    if not await InvitationRepository(unit.session, unit.tenant).take(found.id, found.token_hash, utc_now()):
        raise TokenInvalid
    return row


async def _valid(unit: UnitOfWork, found: Found) -> InvitationRow:
    row = await InvitationRepository(unit.session, unit.tenant).get(found.id)
    if row is None or row.token_hash != found.token_hash or row.expires_at <= utc_now():
        raise TokenInvalid
    await require_active_tenant(unit, TokenInvalid)
    if row.form_id is not None and await _title(unit, row) is None:
        raise TokenInvalid
    return row


async def _mine(unit: UnitOfWork, principal: Principal, invitation_id: str) -> InvitationRow:
    """The invitation, if the principal may deal with it: others' and missing ones are not told apart."""
    principal.require(_SHARE)
    row = await InvitationRepository(unit.session, unit.tenant).get(invitation_id)
    if row is None or (row.form_id is None and not principal.may(_INVITE)):
        raise InvitationNotFound
    return row


async def _write(unit: UnitOfWork, letters: Letters, row: InvitationRow, secret: str, *, by: str) -> None:
    tenant = await TenantRepository(unit.session, unit.tenant).get()
    values = {
        "inviter": await _inviter(unit, row),
        "tenant": tenant.name if tenant is not None else unit.tenant,
        "link": letters.link("invitation", secret),
    }
    title = await _title(unit, row)
    if title is None:
        await letters.order(unit, "invitation", row.email, by=by, **values)
    else:
        await letters.order(unit, "form_invitation", row.email, by=by, form=title, **values)


async def _inviter(unit: UnitOfWork, row: InvitationRow) -> str:
    user = await UserRepository(unit.session, unit.tenant).get(row.invited_by)
    if user is not None:
        return user.name
    tenant = await TenantRepository(unit.session, unit.tenant).get()
    return tenant.name if tenant is not None else unit.tenant


async def _title(unit: UnitOfWork, row: InvitationRow) -> str | None:
    """The title of the form, or None when there is none that can be used."""
    if row.form_id is None:
        return None
    form = await FormRepository(unit.session, unit.tenant).find(row.form_id)
    return None if form is None else form.title


def _faults(command: CreateInvitation) -> list[Fault]:
    faults = []
    if command.form_id is not None:
        if command.form_role is None:
            faults.append(Fault("/form_role", "required", "an invitation to a form needs a role for it"))
        if command.role not in (None, _GUEST):
            faults.append(Fault("/role", "invitation.role", "who is invited to a single form is a guest"))
    elif command.form_role is not None:
        faults.append(Fault("/form_id", "required", "a role for a form needs the form"))
    return faults


def _role(command: CreateInvitation) -> str:
    return _GUEST if command.form_id is not None else command.role or "viewer"


def _form_role(row: InvitationRow) -> FormRole | None:
    return next((role for role in get_args(FormRole) if role == row.form_role), None)


def _record_revoked(unit: UnitOfWork, principal: Principal, invitation_id: str) -> None:
    record(unit, InvitationRevoked(invitation_id=invitation_id), actor=principal.subject, origin=principal.origin)


def _to_invitation(row: InvitationRow) -> Invitation:
    return Invitation.model_validate(row.model_dump(exclude={"tenant_id", "token_hash"}))
