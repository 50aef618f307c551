"""Queries for signing keys."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from db.models.signing_keys import SigningKey


class SigningKeyRepository:
    """The keys of the platform's own tenant."""

    def __init__(self, session: AsyncSession, tenant_id: str) -> None:
        self._session = session
        self._tenant_id = tenant_id

    async def all(self) -> Sequence[SigningKey]:
        """Every key, the newest last."""
        query = select(SigningKey).where(col(SigningKey.tenant_id) == self._tenant_id)
        ordered = query.order_by(col(SigningKey.active_at), col(SigningKey.id))
        return (await self._session.execute(ordered)).scalars().all()

    async def add(self, key: SigningKey) -> None:
        """Store a new key; it is there for the queries that follow."""
        self._session.add(key)
        await self._session.flush()

    async def retire_others(self, kept: str, at: datetime) -> None:
        """Every key but one signs until `at` at most."""
        others = (col(SigningKey.tenant_id) == self._tenant_id) & (col(SigningKey.id) != kept)
        unretired = update(SigningKey).where(others, col(SigningKey.retired_at).is_(None))
        await self._session.execute(unretired.values(retired_at=at))

    async def revoke(self, key_id: str, at: datetime) -> bool:
        """Whether there is such a key; from now on nothing it signed is accepted."""
        mine = (col(SigningKey.tenant_id) == self._tenant_id) & (col(SigningKey.id) == key_id)
        found = await self._session.execute(
            update(SigningKey).where(mine).values(revoked_at=at).returning(col(SigningKey.id))
        )
        return found.first() is not None
