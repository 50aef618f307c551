"""Queries for the versions of a response's answers."""

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from db.models.response_life import ResponseVersion


class ResponseVersionRepository:
    """The kept versions of one tenant's responses."""

    def __init__(self, session: AsyncSession, tenant_id: str) -> None:
        self._session = session
        self._tenant_id = tenant_id

    def add(self, version: ResponseVersion) -> None:
        """Keep a version."""
        if version.tenant_id != self._tenant_id:
            raise ValueError("a repository keeps versions of its own tenant only")
        self._session.add(version)

    async def find(self, response_id: str, revision: int) -> ResponseVersion | None:
        return await self._session.get(ResponseVersion, (self._tenant_id, response_id, revision))

    async def page(self, response_id: str, before: int | None, limit: int) -> Sequence[ResponseVersion]:
        """The versions below the revision `before`, newest first."""
        statement = (
            select(ResponseVersion)
            .where(col(ResponseVersion.tenant_id) == self._tenant_id, col(ResponseVersion.response_id) == response_id)
            .order_by(col(ResponseVersion.revision).desc())
            .limit(limit)
        )
        if before is not None:
            statement = statement.where(col(ResponseVersion.revision) < before)
        return (await self._session.scalars(statement)).all()
