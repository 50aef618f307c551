"""Queries for the tokens of partial responses."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import and_, delete, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from db.models.response_life import ResumeToken
from db.models.responses import Response


class ResumeTokenRepository:
    """The tokens of one tenant's responses."""

    def __init__(self, session: AsyncSession, tenant_id: str) -> None:
        self._session = session
        self._tenant_id = tenant_id

    def add(self, token: ResumeToken) -> None:
        """Add a token."""
        if token.tenant_id != self._tenant_id:
            raise ValueError("a repository adds tokens of its own tenant only")
        self._session.add(token)

    async def get(self, response_id: str) -> ResumeToken | None:
        """The token of a response."""
        return await self._session.get(ResumeToken, (self._tenant_id, response_id))

    async def find(self, token_hash: str, now: datetime) -> str | None:
        """The response of the token with this hash, unless it has expired."""
        statement = select(col(ResumeToken.response_id)).where(
            col(ResumeToken.tenant_id) == self._tenant_id,
            col(ResumeToken.token_hash) == token_hash,
            col(ResumeToken.expires_at) > now,
        )
        return await self._session.scalar(statement)


class ResumeTokenDirectory:
    """Tokens of all tenants: needs an unscoped unit."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def abandoned_in_any_tenant(self, now: datetime, limit: int) -> Sequence[tuple[str, str, str]]:
        """Tenant, form and id of partial responses whose token has expired."""
        statement = (
            select(col(Response.tenant_id), col(Response.form_id), col(Response.id))
            .join(
                ResumeToken,
                and_(
                    col(ResumeToken.tenant_id) == col(Response.tenant_id),
                    col(ResumeToken.response_id) == col(Response.id),
                ),
            )
            .where(
                col(ResumeToken.expires_at) <= now,
                col(Response.status) == "partial",
                col(Response.deleted_at).is_(None),
            )
            .order_by(col(Response.tenant_id), col(Response.form_id), col(Response.id))
            .limit(limit)
        )
        return [(tenant_id, form_id, id_) for tenant_id, form_id, id_ in await self._session.execute(statement)]

    async def remove_used_in_any_tenant(self, now: datetime, limit: int) -> int:
        """Remove up to `limit` expired tokens of complete responses; how many."""
        key = tuple_(col(ResumeToken.tenant_id), col(ResumeToken.response_id))
        used = (
            select(col(ResumeToken.tenant_id), col(ResumeToken.response_id))
            .where(col(ResumeToken.expires_at) <= now, col(ResumeToken.fingerprint).is_not(None))
            .limit(limit)
        )
        statement = delete(ResumeToken).where(key.in_(used))
        result: Any = await self._session.execute(statement, execution_options={"synchronize_session": False})
        return int(result.rowcount)
