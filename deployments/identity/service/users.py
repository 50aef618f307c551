"""The rules of a tenant's people."""

import unicodedata
from contextlib import suppress

from email_validator import EmailNotValidError, validate_email

from db.models.identity import User as UserRow
from db.repositories.users import UserRepository
from db.session import UnitOfWork
from db.types import new_id, utc_now
from deployments.identity.contracts import CreateUser, Me, NewUser, UpdateUser, User
from deployments.identity.errors import (
    EmailTaken,
    LastOwner,
    LoginFailed,
    OwnAccess,
    RoleTooHigh,
    UserNotFound,
    UserQuotaReached,
)
from deployments.identity.permissions import PLATFORM_ADMIN, scopes_of
from deployments.identity.service import open_sessions
from deployments.identity.service.paging import after, page
from deployments.kit.contract import Page
from deployments.kit.errors import Forbidden, Unauthenticated
from deployments.kit.principal import PLATFORM_TENANT, Principal
from deployments.kit.quotas import require_room
from deployments.kit.tenants import require_customer
from eventing.events.envelope import Origin
from eventing.events.identity import PasswordChanged, UserRegistered, UserUpdated
from eventing.outbox import record


def normalise_email(email: str) -> str:
    """The spelling under which an account is kept: lower case, NFC, the domain in Unicode (RFC 6531)."""
    with suppress(EmailNotValidError):  # administrators may have addresses such as admin@localhost
        email = validate_email(email, check_deliverability=False).normalized
    return unicodedata.normalize("NFC", email.lower())


def new_row(tenant_id: str, new: NewUser | CreateUser, role: str, hashed: str) -> UserRow:
    """The row of a new person."""
    return UserRow(
        tenant_id=tenant_id,
        id=new_id("usr"),
        email=normalise_email(new.email),
        name=new.name,
        role=role,
        password_hash=hashed,
        created_at=utc_now(),
    )


async def add(unit: UnitOfWork, row: UserRow, *, actor: str, origin: Origin) -> User:
    """The registered person. Raises EmailTaken, UserQuotaReached."""
    repository = UserRepository(unit.session, unit.tenant)
    await require_room(unit, UserQuotaReached, repository.count_active)
    if not await repository.add(row):
        raise EmailTaken
    fact = UserRegistered(user_id=row.id, email=row.email, role=row.role)
    record(unit, fact, actor=actor, origin=origin)
    return _to_user(row)


def require_creation(principal: Principal, command: CreateUser) -> None:
    """Raise Forbidden, RoleTooHigh, or TenantRequired when the principal may not create this person."""
    principal.require("users:write")
    require_customer(principal)
    refuse_higher(principal, command.role)


async def create(unit: UnitOfWork, principal: Principal, command: CreateUser, hashed: str) -> User:
    """The new person. Raises EmailTaken, UserQuotaReached."""
    row = new_row(unit.tenant, command, command.role, hashed)
    return await add(unit, row, actor=principal.subject, origin=principal.origin)


async def get(unit: UnitOfWork, principal: Principal, user_id: str) -> User:
    """The person. Raises UserNotFound."""
    principal.require("users:read")
    return _to_user(_existing(await UserRepository(unit.session, unit.tenant).get(user_id)))


async def update(unit: UnitOfWork, principal: Principal, user_id: str, command: UpdateUser) -> User:
    """The changed person; whoever is deactivated is logged out everywhere.

    Raises UserNotFound, RoleTooHigh, OwnAccess for one's own role or status, LastOwner, UserQuotaReached.
    """
    principal.require("users:write")
    repository = UserRepository(unit.session, unit.tenant)
    # Locked in one order by everybody, so that of two owners who demote each other one is told that they cannot.
    owners = await repository.lock_with_role("owner")
    row = _existing(await repository.get_locked(user_id))
    changes = {k: v for k, v in command.model_dump(exclude_none=True).items() if v != getattr(row, k)}
    access = changes.keys() & {"role", "status"}
    if access and user_id == principal.subject:
        raise OwnAccess
    if access:
        refuse_higher(principal, row.role)
    if "role" in changes:
        refuse_higher(principal, changes["role"])
    if access and [owner.id for owner in owners] == [user_id]:
        raise LastOwner
    if changes.get("status") == "active":
        await require_room(unit, UserQuotaReached, repository.count_active)
    for name, value in changes.items():
        setattr(row, name, value)
    if changes:
        fact = UserUpdated(user_id=row.id, changed=sorted(changes), role=row.role, status=row.status)
        record(unit, fact, actor=principal.subject, origin=principal.origin)
    if row.status != "active":
        await open_sessions.end(unit, row.id)
    return _to_user(row)


async def own_hash(unit: UnitOfWork, principal: Principal) -> str:
    """The hash of the caller's own password. Raises Forbidden for whoever has none."""
    row = await UserRepository(unit.session, unit.tenant).get(principal.subject)
    if principal.kind != "user" or row is None:
        raise Forbidden("only a person has a password")
    return row.password_hash


async def own_locked(unit: UnitOfWork, principal: Principal, known: str | None) -> UserRow:
    """The caller's own row, locked. Raises Forbidden for a program, LoginFailed when the hash is `known` no more."""
    row = await UserRepository(unit.session, unit.tenant).get_locked(principal.subject)
    if principal.kind != "user" or row is None:
        raise Forbidden("only a person can do this")
    if known is not None and row.password_hash != known:
        raise LoginFailed
    return row


async def change_password(unit: UnitOfWork, principal: Principal, known: str, fresh: str) -> None:
    """Keep the hash `fresh` and end the person's other sessions. Raises LoginFailed when it is `known` no more."""
    row = await UserRepository(unit.session, unit.tenant).get_locked(principal.subject)
    if row is None or row.password_hash != known:
        raise LoginFailed
    row.password_hash = fresh
    await open_sessions.end(unit, row.id, but=principal.session_id)
    record(unit, PasswordChanged(user_id=row.id), actor=principal.subject, origin=principal.origin)


async def list_all(unit: UnitOfWork, principal: Principal, cursor: str | None, limit: int) -> Page[User]:
    """The tenant's people, oldest first."""
    principal.require("users:read")
    rows = await UserRepository(unit.session, unit.tenant).page(after(cursor), limit + 1)
    return page(rows, limit, _to_user)


def home(principal: Principal) -> str:
    """The tenant that the caller's account belongs to, whichever tenant it works in."""
    return PLATFORM_TENANT if principal.may(PLATFORM_ADMIN) else principal.tenant_id


async def me(unit: UnitOfWork, principal: Principal) -> Me:
    """The caller. Raises Unauthenticated when it is neither a known person nor a key."""
    user = None
    if principal.kind == "user":
        row = await UserRepository(unit.session, unit.tenant).get(principal.subject)
        if row is None:
            raise Unauthenticated
        user = _to_user(row)
    elif principal.kind != "api_key":
        raise Unauthenticated
    return Me(
        tenant_id=None if principal.tenant_id == PLATFORM_TENANT else principal.tenant_id,
        subject=principal.subject,
        kind=principal.kind,
        role=principal.role,
        scopes=sorted(principal.scopes),
        user=user,
    )


def refuse_higher(principal: Principal, role: str) -> None:
    """Raise RoleTooHigh when the role has rights that the principal has not."""
    # Named, because an API key has no role: with an owner's scopes it still must not make owners.
    owns = principal.role in {"owner", "administrator"}
    if (role == "owner" and not owns) or not all(map(principal.may, scopes_of(role))):
        raise RoleTooHigh


def _existing(row: UserRow | None) -> UserRow:
    if row is None:
        raise UserNotFound
    return row


def _to_user(row: UserRow) -> User:
    return User.model_validate(row.model_dump(exclude={"tenant_id", "password_hash", "phone", "phone_verified_at"}))
