"""Queries on one-time links in mails."""

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from db.models.link_tokens import LinkToken


class LinkTokenRepository:
    """The links of one tenant's people."""

    def __init__(self, session: AsyncSession, tenant_id: str) -> None:
        self._session = session
        self._tenant_id = tenant_id

    def add(self, token: LinkToken) -> None:
        """Add a link."""
        if token.tenant_id != self._tenant_id:
            raise ValueError("a repository adds links of its own tenant only")
        self._session.add(token)

    async def get(self, token_id: str) -> LinkToken | None:
        """The link with this id."""
        return await self._session.get(LinkToken, (self._tenant_id, token_id))

    async def use(self, token_id: str, now: datetime) -> LinkToken | None:
        """Use up the link: for one of those who try, and only while it is valid; None for everybody else."""
        statement = (
            update(LinkToken)
            .where(
                col(LinkToken.tenant_id) == self._tenant_id,
                col(LinkToken.id) == token_id,
                col(LinkToken.used_at).is_(None),
                col(LinkToken.expires_at) > now,
            )
            .values(used_at=now)
            .returning(LinkToken)
            .execution_options(populate_existing=True)
        )
        return (await self._session.execute(statement)).scalar_one_or_none()

    async def void(self, user_id: str, purposes: Collection[str], now: datetime) -> None:
        """Make a person's unused links for these purposes worthless."""
        statement = update(LinkToken).where(
            col(LinkToken.tenant_id) == self._tenant_id,
            col(LinkToken.user_id) == user_id,
            col(LinkToken.purpose).in_(purposes),
            col(LinkToken.used_at).is_(None),
        )
        await self._session.execute(statement.values(used_at=now))


class LinkTokenDirectory:
    """Links looked up before the tenant is known: needs an unscoped unit."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def find_in_any_tenant(self, token_hash: str) -> LinkToken | None:
        """The link with this hash."""
        query = select(LinkToken).where(col(LinkToken.token_hash) == token_hash)
        return (await self._session.execute(query)).scalar_one_or_none()
