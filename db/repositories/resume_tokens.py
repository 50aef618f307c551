"""Queries for the tokens of partial responses."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import and_, delete, select, tuple_, update
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

    async def completed(self, response_id: str, fingerprint: str) -> None:
        """Note the call that completed the response."""
        await self._session.execute(
            update(ResumeToken)
            .where(col(ResumeToken.tenant_id) == self._tenant_id, col(ResumeToken.response_id) == response_id)
            .values(fingerprint=fingerprint)
        )


@dataclass(frozen=True, slots=True)
class ResumeHold:
    """Where a token that is valid leads."""

    tenant_id: str
    response_id: str


class ResumeTokenDirectory:
    """Tokens of all tenants: needs an unscoped unit."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def find_in_any_tenant(self, token_hash: str, now: datetime) -> ResumeHold | None:
        """Where the token with this hash leads, unless it has expired."""
        row = (
            await self._session.execute(
                select(col(ResumeToken.tenant_id), col(ResumeToken.response_id)).where(
                    col(ResumeToken.token_hash) == token_hash, col(ResumeToken.expires_at) > now
                )
            )
        ).one_or_none()
        return None if row is None else ResumeHold(row.tenant_id, row.response_id)

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
