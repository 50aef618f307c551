"""Queries for the texts that tenants reply with."""

from collections.abc import Collection, Sequence

from sqlalchemy import delete, func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from db.models.generation import Snippet


class SnippetRepository:
    """The snippets of one tenant."""

    def __init__(self, session: AsyncSession, tenant_id: str) -> None:
        self._session = session
        self._tenant_id = tenant_id
        self._mine = select(Snippet).where(col(Snippet.tenant_id) == tenant_id)

    def add(self, snippet: Snippet) -> None:
        self._session.add(snippet)

    async def find(self, snippet_id: str, *, for_update: bool = False) -> Snippet | None:
        return await self._session.get(Snippet, (self._tenant_id, snippet_id), with_for_update=for_update or None)

    async def page(self, after_id: str | None, limit: int) -> Sequence[Snippet]:
        """Snippets, oldest first, after the id `after_id`."""
        statement = self._mine.order_by(col(Snippet.id)).limit(limit)
        if after_id is not None:
            statement = statement.where(col(Snippet.id) > after_id)
        return (await self._session.scalars(statement)).all()

    async def named(self, ids: Collection[str] | None) -> Sequence[Snippet]:
        """Those with these ids, or all, oldest first."""
        statement = self._mine if ids is None else self._mine.where(col(Snippet.id).in_(ids))
        return (await self._session.scalars(statement.order_by(col(Snippet.id)))).all()

    async def count(self) -> int:
        """How many there are."""
        return await self._session.scalar(select(func.count()).select_from(self._mine.subquery())) or 0

    async def remove(self, snippet_id: str) -> bool:
        """Whether there was such a snippet."""
        statement = (
            delete(Snippet)
            .where(col(Snippet.tenant_id) == self._tenant_id, col(Snippet.id) == snippet_id)
            .returning(col(Snippet.id))
        )
        return (await self._session.execute(statement)).first() is not None
