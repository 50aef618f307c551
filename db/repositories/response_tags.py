"""Queries for the tags of responses."""

from collections import defaultdict
from collections.abc import Collection, Sequence

from sqlalchemy import and_, delete, func, insert, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from db.models.response_life import ResponseTag
from db.models.responses import Response


class ResponseTagRepository:
    """The tags of one tenant's responses."""

    def __init__(self, session: AsyncSession, tenant_id: str) -> None:
        self._session = session
        self._tenant_id = tenant_id

    async def of(self, response_ids: Collection[str]) -> dict[str, list[str]]:
        """The tags of each of these responses that has any, sorted."""
        found: dict[str, list[str]] = defaultdict(list)
        if response_ids:
            statement = select(col(ResponseTag.response_id), col(ResponseTag.tag)).where(
                col(ResponseTag.tenant_id) == self._tenant_id, col(ResponseTag.response_id).in_(response_ids)
            )
            for response_id, tag in await self._session.execute(statement):
                found[response_id].append(tag)
        return {response_id: sorted(tags) for response_id, tags in found.items()}

    async def add(self, form_id: str, pairs: Sequence[tuple[str, str]]) -> None:
        """Add tags, given as response and tag, that are not there yet."""
        if pairs:
            rows = [
                {"tenant_id": self._tenant_id, "response_id": response_id, "tag": tag, "form_id": form_id}
                for response_id, tag in pairs
            ]
            await self._session.execute(insert(ResponseTag), rows)

    async def remove(self, response_ids: Collection[str], tags: Collection[str]) -> None:
        """Take these tags from these responses."""
        await self._session.execute(
            delete(ResponseTag).where(
                col(ResponseTag.tenant_id) == self._tenant_id,
                col(ResponseTag.response_id).in_(response_ids),
                col(ResponseTag.tag).in_(tags),
            )
        )

    async def counts(self, form_id: str, limit: int) -> Sequence[tuple[str, int]]:
        """The tags of a form's responses that are not in the trash, each with their number, most used first."""
        number = func.count()
        statement = (
            select(col(ResponseTag.tag), number)
            .join(
                Response,
                and_(
                    col(Response.tenant_id) == col(ResponseTag.tenant_id),
                    col(Response.id) == col(ResponseTag.response_id),
                ),
            )
            .where(
                col(ResponseTag.tenant_id) == self._tenant_id,
                col(ResponseTag.form_id) == form_id,
                col(Response.deleted_at).is_(None),
            )
            .group_by(col(ResponseTag.tag))
            .order_by(number.desc(), col(ResponseTag.tag))
            .limit(limit)
        )
        return [(tag, count) for tag, count in await self._session.execute(statement)]
