"""The rules of one-time links in mails."""

import secrets
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Final

from db.models.identity import User
from db.models.link_tokens import LinkToken
from db.repositories.link_tokens import LinkTokenDirectory, LinkTokenRepository
from db.repositories.users import UserRepository
from db.session import UnitOfWork
from db.types import new_id, utc_now
from deployments.identity.errors import TokenInvalid
from deployments.identity.tokens import fingerprint
from deployments.kit.tenants import require_active_tenant

LINK_PREFIX: Final = "fsl_"


class Purpose(StrEnum):
    """What a link is for. It works for nothing else."""

    VERIFICATION = "email_verification"
    CHANGE = "email_change"
    RESET = "password_reset"


LIVES: Final = {
    Purpose.VERIFICATION: timedelta(days=3),
    Purpose.CHANGE: timedelta(days=1),
    Purpose.RESET: timedelta(hours=1),
}
"""How long a link works."""


@dataclass(frozen=True, slots=True)
class Found:
    """Where a link that seemed valid is kept."""

    tenant_id: str
    id: str
    user_id: str


def new_secret() -> str:
    """A fresh opaque token with 256 bits of randomness."""
    return LINK_PREFIX + secrets.token_urlsafe(32)


def issue(unit: UnitOfWork, user: User, purpose: Purpose, email: str, token_id: str | None = None) -> str:
    """The token of a new link that proves who gets the mail of `email`."""
    now = utc_now()
    secret = new_secret()
    LinkTokenRepository(unit.session, unit.tenant).add(
        LinkToken(
            tenant_id=unit.tenant,
            id=token_id or new_id("lnk"),
            user_id=user.id,
            purpose=purpose,
            email=email,
            token_hash=fingerprint(secret),
            created_at=now,
            expires_at=now + LIVES[purpose],
        )
    )
    return secret


async def find(unit: UnitOfWork, token: str, *purposes: Purpose) -> Found:
    """Where the link is kept, before anything expensive is done for it. Raises TokenInvalid."""
    row = await LinkTokenDirectory(unit.session).find_in_any_tenant(fingerprint(token))
    if row is None or row.purpose not in purposes or row.used_at is not None or row.expires_at <= utc_now():
        raise TokenInvalid
    return Found(row.tenant_id, row.id, row.user_id)


async def use(unit: UnitOfWork, found: Found) -> tuple[User, LinkToken]:
    """Use up the link: its person, locked, and what it said. Raises TokenInvalid, TenantSuspended.

    Of many at once one gets it. The person must still be active and, unless the link is to change it, still have
    the e-mail that the letter went to.
    """
    user = await UserRepository(unit.session, unit.tenant).get_locked(found.user_id)
    row = await LinkTokenRepository(unit.session, unit.tenant).use(found.id, utc_now())
    if user is None or row is None or user.status != "active":
        raise TokenInvalid
    if row.purpose != Purpose.CHANGE and row.email != user.email:
        raise TokenInvalid
    await require_active_tenant(unit, TokenInvalid)
    return user, row


async def void(unit: UnitOfWork, user_id: str, *purposes: Purpose) -> None:
    """Make a person's unused links for these purposes worthless."""
    await LinkTokenRepository(unit.session, unit.tenant).void(user_id, purposes, utc_now())
