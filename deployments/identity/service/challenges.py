"""The rules of challenges: how they are made and whom they are for."""

from datetime import timedelta
from typing import Final

from db.models.factors import Challenge
from db.models.identity import User
from db.repositories.challenges import ChallengeRepository
from db.repositories.users import UserRepository
from db.session import UnitOfWork
from db.types import new_id, utc_now
from deployments.identity.codes import LIFE_S, new_challenge_token
from deployments.identity.errors import CodeFailed
from deployments.identity.tokens import fingerprint

LOGIN_CODE: Final = "login_code"
SECOND_FACTOR: Final = "second_factor"
SETUP: Final = "setup"
PHONE: Final = "phone"


def make(tenant_id: str, purpose: str, account: str, *, life_s: int = LIFE_S) -> tuple[Challenge, str]:
    """A challenge and its token, of which the challenge keeps the hash only."""
    token = new_challenge_token()
    now = utc_now()
    row = Challenge(
        tenant_id=tenant_id,
        id=new_id("chl"),
        purpose=purpose,
        account=account,
        token_hash=fingerprint(token),
        created_at=now,
        expires_at=now + timedelta(seconds=life_s),
    )
    return row, token


async def make_for(
    unit: UnitOfWork, user: User, purpose: str, *, amr: tuple[str, ...] = (), life_s: int = LIFE_S
) -> tuple[Challenge, str]:
    """A stored challenge for a person; it dies with their password, and with the next one for the same purpose."""
    row, token = make(unit.tenant, purpose, fingerprint(user.email), life_s=life_s)
    row.user_id, row.proof, row.amr = user.id, fingerprint(user.password_hash), " ".join(amr)
    await ChallengeRepository(unit.session, unit.tenant).replace(row)
    return row, token


async def person_of(unit: UnitOfWork, challenge: Challenge) -> User:
    """Whom the challenge is for, locked. Raises CodeFailed when they may not answer it any more."""
    if challenge.user_id is None:
        raise CodeFailed
    user = await UserRepository(unit.session, unit.tenant).get_locked(challenge.user_id)
    if user is None or user.status != "active" or challenge.proof != fingerprint(user.password_hash):
        raise CodeFailed
    return user


async def consume(unit: UnitOfWork, challenge: Challenge) -> None:
    """Close the challenge. Raises CodeFailed when it is not open any more."""
    if not await ChallengeRepository(unit.session, unit.tenant).consume(challenge.id, utc_now()):
        raise CodeFailed


async def void_of(unit: UnitOfWork, user_id: str) -> None:
    """Close every challenge of a person whose ways to answer have changed."""
    await ChallengeRepository(unit.session, unit.tenant).void_of(user_id, utc_now())


def is_open(challenge: Challenge) -> bool:
    """Whether the challenge can still be answered."""
    return challenge.used_at is None and utc_now() < challenge.expires_at
