"""Queries for the secret keys that the platform has had."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from db.models.secret_keys import SecretKey
from db.repositories.upsert import upsert


class SecretKeyRepository:
    """The keys of the platform's own tenant."""

    def __init__(self, session: AsyncSession, tenant_id: str) -> None:
        self._session = session
        self._tenant_id = tenant_id

    async def all(self) -> Sequence[SecretKey]:
        """Every key, the newest last."""
        query = select(SecretKey).where(col(SecretKey.tenant_id) == self._tenant_id)
        return (await self._session.execute(query.order_by(col(SecretKey.noted_at)))).scalars().all()

    async def add(self, key_id: str, sealed: str, at: datetime) -> None:
        """Note a key, unless it has been."""
        values = {"tenant_id": self._tenant_id, "id": key_id, "sealed": sealed, "noted_at": at, "retired_at": None}
        await self._session.execute(upsert(self._session, SecretKey).values(values).on_conflict_do_nothing())

    async def put_in_force(self, key_id: str, at: datetime) -> None:
        """From a moment on this one makes what is made, and no other."""
        mine = col(SecretKey.tenant_id) == self._tenant_id
        this = update(SecretKey).where(mine, col(SecretKey.id) == key_id)
        others = update(SecretKey).where(mine, col(SecretKey.id) != key_id, col(SecretKey.retired_at).is_(None))
        await self._session.execute(this.values(retired_at=None))
        await self._session.execute(others.values(retired_at=at))
