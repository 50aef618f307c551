"""The rules of logging in with a provider: which account it is, and what the account may do from now on."""

from datetime import timedelta

from db.models.federation import SsoSession, UserIdentity
from db.models.identity import User as UserRow
from db.repositories.federation import SsoSessionRepository, UserIdentityRepository
from db.repositories.users import UserRepository
from db.session import UnitOfWork
from db.types import new_id, utc_now
from deployments.identity.contracts import FederatedLogin, Session
from deployments.identity.errors import AccountRefused, EmailTaken
from deployments.identity.service import sessions, users
from deployments.identity.settings import IdentitySettings
from deployments.identity.tokens import AccessTokens
from deployments.kit.errors import Unauthenticated
from deployments.kit.tenants import require_active_tenant
from eventing.events.envelope import Origin
from eventing.events.federation import UserFederated
from eventing.events.identity import UserLoggedIn, UserUpdated
from eventing.outbox import record

NO_PASSWORD = ""
"""No password has this hash: such an account is opened by its provider, or by a password that is set later."""


async def log_in(
    unit: UnitOfWork, tokens: AccessTokens, settings: IdentitySettings, origin: Origin, login: FederatedLogin
) -> Session:
    """A new session, of an account that is found, linked or made. Raises AccountRefused, TenantSuspended."""
    await require_active_tenant(unit, Unauthenticated)
    identity = await UserIdentityRepository(unit.session, unit.tenant).find(login.issuer, login.subject)
    user_id = identity.user_id if identity else await _link(unit, origin, login)
    user = await UserRepository(unit.session, unit.tenant).get_locked(user_id)
    if user is None or user.status != "active":
        raise AccountRefused
    if identity is not None:
        identity.last_login_at = utc_now()
    _follow_role(unit, origin, user, login)
    record(unit, UserLoggedIn(user_id=user.id), actor=user.id, origin=origin)
    family_id = new_id("fam")
    if login.sealed:
        _remember(unit, settings, user, login, family_id)
    return sessions.begin(unit, tokens, settings, user, origin, family_id=family_id)


def _remember(unit: UnitOfWork, settings: IdentitySettings, user: UserRow, login: FederatedLogin, family: str) -> None:
    now = utc_now()
    begun = SsoSession(
        tenant_id=unit.tenant,
        family_id=family,
        user_id=user.id,
        connection_id=login.connection_id,
        sealed=login.sealed,
        created_at=now,
        expires_at=now + timedelta(seconds=settings.refresh_token_life_s),
    )
    SsoSessionRepository(unit.session, unit.tenant).add(begun)


async def _link(unit: UnitOfWork, origin: Origin, login: FederatedLogin) -> str:
    """The id of the account that is linked from now on, made if need be. Raises AccountRefused."""
    people = UserRepository(unit.session, unit.tenant)
    user = await people.find_by_email(users.normalise_email(login.email))
    if user is None and login.create:
        user = await _create(unit, origin, login)
    elif user is None or not login.link or user.status != "active":
        raise AccountRefused
    now = utc_now()
    identity = UserIdentity(
        tenant_id=unit.tenant,
        issuer=login.issuer,
        subject=login.subject,
        user_id=user.id,
        connection_id=login.connection_id,
        created_at=now,
        last_login_at=now,
    )
    repository = UserIdentityRepository(unit.session, unit.tenant)
    if await repository.add(identity):
        fact = UserFederated(
            user_id=user.id, connection_id=login.connection_id, issuer=login.issuer, subject=login.subject
        )
        record(unit, fact, actor=user.id, origin=origin)
        return user.id
    # The same person in another tab was faster; or the e-mail has passed to another person at the provider.
    known = await repository.find(login.issuer, login.subject)
    if known is None or known.user_id != user.id:
        raise AccountRefused
    return user.id


async def _create(unit: UnitOfWork, origin: Origin, login: FederatedLogin) -> UserRow:
    row = UserRow(
        tenant_id=unit.tenant,
        id=new_id("usr"),
        email=users.normalise_email(login.email),
        name=login.name,
        role=login.role,
        password_hash=NO_PASSWORD,
        created_at=utc_now(),
        # The provider vouched for it.
        email_verified_at=utc_now(),
    )
    try:
        await users.add(unit, row, actor=row.id, origin=origin)
    except EmailTaken:
        found = await UserRepository(unit.session, unit.tenant).find_by_email(row.email)
        if found is None or not login.link:
            raise AccountRefused from None
        return found
    return row


def _follow_role(unit: UnitOfWork, origin: Origin, user: UserRow, login: FederatedLogin) -> None:
    # A tenant must not lose its owners to a provider's groups.
    if login.keep_role or user.role in (login.role, "owner", "administrator"):
        return
    user.role = login.role
    fact = UserUpdated(user_id=user.id, changed=["role"], role=user.role, status=user.status)
    record(unit, fact, actor="system:federation", origin=origin)
