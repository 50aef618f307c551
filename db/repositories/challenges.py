"""Queries on challenges. What counts or consumes is one conditional statement, so it is exact under concurrency."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, delete, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from db.models.factors import Challenge


class ChallengeRepository:
    """The challenges of one tenant."""

    def __init__(self, session: AsyncSession, tenant_id: str) -> None:
        self._session = session
        self._tenant_id = tenant_id

    async def replace(self, challenge: Challenge) -> None:
        """Add a challenge; the account's older ones of the same purpose become worthless."""
        if challenge.tenant_id != self._tenant_id:
            raise ValueError("a repository adds challenges of its own tenant only")
        older = (
            col(Challenge.tenant_id) == self._tenant_id,
            col(Challenge.account) == challenge.account,
            col(Challenge.purpose) == challenge.purpose,
            col(Challenge.used_at).is_(None),
        )
        await self._session.execute(update(Challenge).where(*older).values(used_at=challenge.created_at))
        self._session.add(challenge)

    async def get_locked(self, challenge_id: str) -> Challenge | None:
        """The challenge as last committed; nobody else changes it until the transaction ends."""
        return await self._session.get(Challenge, (self._tenant_id, challenge_id), with_for_update=True)

    async def consume(self, challenge_id: str, now: datetime) -> bool:
        """Whether the challenge was still open; now it is not."""
        statement = (
            update(Challenge)
            .where(
                col(Challenge.tenant_id) == self._tenant_id,
                col(Challenge.id) == challenge_id,
                *_is_open(now),
            )
            .values(used_at=now)
            .returning(col(Challenge.id))
        )
        return (await self._session.execute(statement)).first() is not None

    async def void_of(self, user_id: str, now: datetime) -> None:
        """Close every challenge of a person."""
        mine = (col(Challenge.tenant_id) == self._tenant_id, col(Challenge.user_id) == user_id)
        statement = update(Challenge).where(*mine, col(Challenge.used_at).is_(None)).values(used_at=now)
        await self._session.execute(statement)


class ChallengeDirectory:
    """Challenges by their token, before the tenant is known: needs an unscoped unit."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def find_in_any_tenant(self, token_hash: str) -> Challenge | None:
        """The challenge with this hash."""
        query = select(Challenge).where(col(Challenge.token_hash) == token_hash)
        return (await self._session.execute(query)).scalar_one_or_none()

    async def try_in_any_tenant(
        self, token_hash: str, purposes: Sequence[str], now: datetime, limit: int
    ) -> Challenge | None:
        """Use up one of the `limit` tries of an open challenge; None when there is none left."""
        statement = (
            update(Challenge)
            .where(
                col(Challenge.token_hash) == token_hash,
                col(Challenge.purpose).in_(purposes),
                col(Challenge.tries) < limit,
                *_is_open(now),
            )
            .values(tries=col(Challenge.tries) + 1)
            .returning(Challenge)
        )
        return (await self._session.execute(statement)).scalar_one_or_none()

    async def prune_in_any_tenant(self, ended_before: datetime, limit: int) -> None:
        """Forget up to `limit` challenges that ended before this moment."""
        ended = (
            select(col(Challenge.tenant_id), col(Challenge.id))
            .where(col(Challenge.expires_at) < ended_before)
            .order_by(col(Challenge.expires_at))
            .limit(limit)
        )
        for tenant_id, challenge_id in (await self._session.execute(ended)).all():
            own = (col(Challenge.tenant_id) == tenant_id, col(Challenge.id) == challenge_id)
            await self._session.execute(delete(Challenge).where(*own))


def _is_open(now: datetime) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return col(Challenge.used_at).is_(None), col(Challenge.expires_at) > now
