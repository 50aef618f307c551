"""Forgetting credentials that have expired: needs an unscoped unit."""

from datetime import datetime
from typing import Any

from sqlalchemy import delete, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from db.models.accounts import LoginAttempts
from db.models.federation import SsoSession
from db.models.identity import RefreshToken
from db.models.invitations import Invitation
from db.models.link_tokens import LinkToken


class ExpiredCredentials:
    """What has expired, of all tenants. Each method removes up to `limit` rows and says how many there were."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def remove_link_tokens_in_any_tenant(self, before: datetime, limit: int) -> int:
        """Links, used or not, that expired before a moment."""
        return await self._remove(LinkToken, LinkToken.id, before, limit)

    async def remove_invitations_in_any_tenant(self, before: datetime, limit: int) -> int:
        """Invitations that expired before a moment."""
        return await self._remove(Invitation, Invitation.id, before, limit)

    async def remove_refresh_tokens_in_any_tenant(self, before: datetime, limit: int) -> int:
        """Links of refresh chains that expired before a moment."""
        return await self._remove(RefreshToken, RefreshToken.id, before, limit)

    async def remove_sso_sessions_in_any_tenant(self, before: datetime, limit: int) -> int:
        """What is kept of a provider's login for sessions that ended before a moment."""
        return await self._remove(SsoSession, SsoSession.family_id, before, limit)

    async def remove_login_attempts_in_any_tenant(self, before: datetime, limit: int) -> int:
        """Windows of attempts that ended before a moment."""
        return await self._remove(LoginAttempts, LoginAttempts.subject, before, limit)

    async def _remove(self, table: Any, rest_of_key: Any, before: datetime, limit: int) -> int:
        key = tuple_(col(table.tenant_id), col(rest_of_key))
        expired = (
            select(col(table.tenant_id), col(rest_of_key))
            .where(col(table.expires_at) <= before)
            .order_by(col(table.expires_at))
            .limit(limit)
        )
        # Asked again in the outer statement: a window may have begun anew meanwhile.
        statement = delete(table).where(key.in_(expired), col(table.expires_at) <= before)
        result: Any = await self._session.execute(statement, execution_options={"synchronize_session": False})
        return int(result.rowcount)
