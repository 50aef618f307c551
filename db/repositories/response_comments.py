"""Queries for comments on responses."""

from collections.abc import Sequence

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from db.models.response_life import ResponseComment


class ResponseCommentRepository:
    """The comments on one tenant's responses."""

    def __init__(self, session: AsyncSession, tenant_id: str) -> None:
        self._session = session
        self._tenant_id = tenant_id

    def add(self, comment: ResponseComment) -> None:
        """Add a comment."""
        if comment.tenant_id != self._tenant_id:
            raise ValueError("a repository adds comments of its own tenant only")
        self._session.add(comment)

    async def find(self, response_id: str, comment_id: str) -> ResponseComment | None:
        """The comment on this response."""
        comment = await self._session.get(ResponseComment, (self._tenant_id, comment_id))
        return comment if comment is not None and comment.response_id == response_id else None

    async def of(self, response_id: str) -> Sequence[ResponseComment]:
        """Every comment on a response, oldest first."""
        statement = select(ResponseComment).where(*self._on(response_id)).order_by(col(ResponseComment.id))
        return (await self._session.scalars(statement)).all()

    async def count(self, response_id: str) -> int:
        """How many comments there are on a response."""
        statement = select(func.count()).select_from(ResponseComment).where(*self._on(response_id))
        return await self._session.scalar(statement) or 0

    async def remove(self, comment: ResponseComment) -> None:
        """Remove a comment for good."""
        await self._session.delete(comment)

    def _on(self, response_id: str) -> tuple[ColumnElement[bool], ...]:
        return col(ResponseComment.tenant_id) == self._tenant_id, col(ResponseComment.response_id) == response_id
