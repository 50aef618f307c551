"""Queries for clients' keys."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from db.models.responses import IdempotencyKey
from db.repositories.upsert import upsert


class IdempotencyKeyRepository:
    """The keys of one tenant's clients."""

    def __init__(self, session: AsyncSession, tenant_id: str) -> None:
        self._session = session
        self._tenant_id = tenant_id

    async def find(self, scope: str, key: str) -> IdempotencyKey | None:
        """What was answered under the key."""
        statement = select(IdempotencyKey).where(
            col(IdempotencyKey.tenant_id) == self._tenant_id,
            col(IdempotencyKey.scope) == scope,
            col(IdempotencyKey.key) == key,
        )
        return await self._session.scalar(statement)

    async def claim(self, scope: str, key: str, fingerprint: str, now: datetime) -> bool:
        """Whether the key is the caller's: False when it was used. Waits for a transaction that is using it."""
        row = {"tenant_id": self._tenant_id, "scope": scope, "key": key, "fingerprint": fingerprint}
        statement = upsert(self._session, IdempotencyKey).values(**row, result={}, created_at=now)
        statement = statement.on_conflict_do_nothing(index_elements=["tenant_id", "scope", "key"])
        return await self._session.scalar(statement.returning(col(IdempotencyKey.key))) is not None

    async def keep(self, scope: str, key: str, result: Mapping[str, Any]) -> None:
        """Keep the answer under a key that was claimed in this transaction."""
        claimed = await self.find(scope, key)
        if claimed is None:
            raise LookupError("the key was not claimed")
        claimed.result = dict(result)
