"""The rules of sessions: log in, refresh with rotation, log out, and who an access token stands for."""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta

from db.models.identity import RefreshToken, User
from db.repositories.credentials import CredentialDirectory, RefreshTokenRepository
from db.repositories.federation import SsoSessionRepository
from db.repositories.users import UserRepository
from db.session import UnitOfWork
from db.types import new_id, utc_now
from deployments.identity.contracts import TENANT_ID, LogIn, ProviderLogin, Refresh, Session
from deployments.identity.errors import LoginFailed
from deployments.identity.passwords import Passwords
from deployments.identity.service.users import normalise_email
from deployments.identity.settings import IdentitySettings
from deployments.identity.tokens import AccessTokens, Claims, fingerprint, new_refresh_token
from deployments.kit.errors import Unauthenticated
from deployments.kit.principal import PLATFORM_TENANT, Principal
from deployments.kit.tenants import require_active_tenant
from eventing.events.envelope import Origin
from eventing.events.identity import UserLocked, UserLoggedIn
from eventing.outbox import record


@dataclass(frozen=True, slots=True)
class Proof:
    """Somebody knew the password behind `password_hash`; `fresh_hash` replaces it when its parameters are outdated."""

    user_id: str
    password_hash: str
    fresh_hash: str | None


@dataclass(frozen=True, slots=True)
class Link:
    """Where a refresh token is kept."""

    tenant_id: str
    id: str
    user_id: str


def tenant_of(command: LogIn) -> str:
    """The tenant to log in to. Raises LoginFailed for what cannot be one."""
    if command.tenant is None:
        return PLATFORM_TENANT
    if re.fullmatch(TENANT_ID, command.tenant) is None:
        raise LoginFailed
    return command.tenant


async def find_account(unit: UnitOfWork, command: LogIn) -> User | None:
    """The account that somebody wants to use."""
    return await UserRepository(unit.session, unit.tenant).find_by_email(normalise_email(command.email))


async def prove(passwords: Passwords, account: User | None, command: LogIn) -> Proof:
    """That the password is right. Raises LoginFailed, after the same time whether or not there is an account."""
    matches = await passwords.verify(account.password_hash if account else None, command.password)
    if account is None or not matches:
        raise LoginFailed
    outdated = passwords.is_outdated(account.password_hash)
    fresh = await passwords.hash(command.password) if outdated else None
    return Proof(account.id, account.password_hash, fresh)


async def admit(unit: UnitOfWork, proof: Proof) -> User:
    """The person of the proof, locked. Raises LoginFailed when the account changed since then, TenantSuspended."""
    user = await UserRepository(unit.session, unit.tenant).get_locked(proof.user_id)
    if user is None or user.status != "active" or user.password_hash != proof.password_hash:
        raise LoginFailed
    await require_active_tenant(unit, LoginFailed)
    if proof.fresh_hash is not None:
        user.password_hash = proof.fresh_hash
    return user


def enter(
    unit: UnitOfWork,
    tokens: AccessTokens,
    settings: IdentitySettings,
    user: User,
    origin: Origin,
    *,
    amr: tuple[str, ...],
) -> Session:
    """The session of somebody who showed what `amr` names (RFC 8176), on the record."""
    record(unit, UserLoggedIn(user_id=user.id), actor=user.id, origin=origin)
    return begin(unit, tokens, settings, user, origin, amr=amr)


def note_lock(unit: UnitOfWork, account: User, origin: Origin) -> None:
    """Tell that nobody gets into the account for a while."""
    record(unit, UserLocked(user_id=account.id), actor=account.id, origin=origin)


def begin(
    unit: UnitOfWork,
    tokens: AccessTokens,
    settings: IdentitySettings,
    user: User,
    origin: Origin,
    *,
    amr: tuple[str, ...] = (),
    family_id: str | None = None,
) -> Session:
    """The first pair of tokens of a new family."""
    now = utc_now()
    end = now + timedelta(seconds=settings.refresh_token_life_s)
    return _issue(unit, tokens, user, origin, family_id=family_id or new_id("fam"), now=now, end=end, amr=amr)


async def find_link(unit: UnitOfWork, command: Refresh) -> Link:
    """Where the refresh token is kept. Raises Unauthenticated when it was never issued."""
    token_hash = fingerprint(command.refresh_token)
    row = await CredentialDirectory(unit.session).find_refresh_token_in_any_tenant(token_hash)
    if row is None:
        raise Unauthenticated
    return Link(row.tenant_id, row.id, row.user_id)


async def rotate(unit: UnitOfWork, tokens: AccessTokens, origin: Origin, link: Link) -> Session | None:
    """The next pair of the family, or None when the token is worthless.

    A token that comes a second time, be it at the same moment, is in two hands: its family is revoked (OAuth 2.1
    §4.3.1). The caller must commit that before it refuses. Raises TenantSuspended.
    """
    # The lock makes rotations of one person queue, so a revocation can never miss a link that is being added.
    user = await UserRepository(unit.session, unit.tenant).get_locked(link.user_id)
    repository = RefreshTokenRepository(unit.session, unit.tenant)
    token = await repository.get(link.id)
    now = utc_now()
    if user is None or token is None or user.status != "active" or token.revoked_at or token.expires_at <= now:
        return None
    if token.used_at is not None:
        await repository.revoke_family(token.family_id, now)
        return None
    await require_active_tenant(unit, Unauthenticated)
    token.used_at = now
    # The end of the family stays: rotation must not prolong a session for ever (ASVS 5.0, 10.4.8).
    amr = tuple(token.amr.split())
    return _issue(unit, tokens, user, origin, family_id=token.family_id, now=now, end=token.expires_at, amr=amr)


async def log_out(unit: UnitOfWork, principal: Principal, command: Refresh) -> ProviderLogin | None:
    """End the session of the refresh token, and the provider's login that it began with, if it did.

    Nothing happens when the token is not one of the caller's (RFC 7009 §2.2).
    """
    await UserRepository(unit.session, unit.tenant).get_locked(principal.subject)
    repository = RefreshTokenRepository(unit.session, unit.tenant)
    token = await repository.find_by_hash(fingerprint(command.refresh_token))
    if token is None or token.user_id != principal.subject:
        return None
    begun = await SsoSessionRepository(unit.session, unit.tenant).find(token.family_id)
    login = ProviderLogin(connection_id=begun.connection_id, sealed=begun.sealed) if begun is not None else None
    await repository.revoke_family(token.family_id, utc_now())
    return login


def _issue(
    unit: UnitOfWork,
    tokens: AccessTokens,
    user: User,
    origin: Origin,
    *,
    family_id: str,
    now: datetime,
    end: datetime,
    amr: tuple[str, ...],
) -> Session:
    secret = new_refresh_token()
    RefreshTokenRepository(unit.session, unit.tenant).add(
        RefreshToken(
            tenant_id=unit.tenant,
            id=new_id("rft"),
            user_id=user.id,
            family_id=family_id,
            token_hash=fingerprint(secret),
            created_at=now,
            expires_at=end,
            address=origin.address,
            user_agent=origin.user_agent,
            amr=" ".join(amr),
        )
    )
    access = tokens.issue(Claims(user.id, unit.tenant, user.role, family_id, amr), now)
    return Session(access_token=access, refresh_token=secret, expires_in=tokens.life_s)
