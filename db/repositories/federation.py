"""Queries on providers that tenants trust, on logins under way, and on who people are at a provider."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from db.models.federation import SsoConnection, SsoLogin, SsoSession, UserIdentity
from db.repositories.upsert import upsert


class SsoConnectionRepository:
    """The providers that one tenant trusts."""

    def __init__(self, session: AsyncSession, tenant_id: str) -> None:
        self._session = session
        self._tenant_id = tenant_id

    def add(self, connection: SsoConnection) -> None:
        """Add a connection."""
        self._session.add(connection)

    async def find(self, connection_id: str, *, for_update: bool = False) -> SsoConnection | None:
        """The connection with this id; with `for_update` nobody else changes it until the transaction ends."""
        return await self._session.get(SsoConnection, (self._tenant_id, connection_id), with_for_update=for_update)

    async def count(self) -> int:
        """How many connections there are."""
        statement = select(func.count()).where(col(SsoConnection.tenant_id) == self._tenant_id)
        return await self._session.scalar(statement) or 0

    async def any_enforced(self) -> bool:
        """Whether one that lets people in is meant to be their only way in."""
        statement = (
            select(col(SsoConnection.id))
            .where(
                col(SsoConnection.tenant_id) == self._tenant_id,
                col(SsoConnection.enabled).is_(True),
                col(SsoConnection.enforced).is_(True),
            )
            .limit(1)
        )
        return (await self._session.execute(statement)).first() is not None

    async def page(self, after: str | None, limit: int) -> Sequence[SsoConnection]:
        """Up to `limit` connections by id (oldest first), after the id `after`."""
        statement = (
            select(SsoConnection)
            .where(col(SsoConnection.tenant_id) == self._tenant_id)
            .order_by(col(SsoConnection.id))
            .limit(limit)
        )
        if after is not None:
            statement = statement.where(col(SsoConnection.id) > after)
        return (await self._session.scalars(statement)).all()

    async def delete(self, connection: SsoConnection) -> None:
        """Delete the connection, with its logins under way and everybody's identities at it."""
        await self._session.delete(connection)


async def issuers_over_all_tenants(session: AsyncSession) -> Sequence[tuple[str, str]]:
    """Each enabled provider, as (id of a tenant, issuer): needs an unscoped unit."""
    statement = (
        select(col(SsoConnection.tenant_id), col(SsoConnection.issuer))
        .where(col(SsoConnection.enabled).is_(True))
        .distinct()
        .order_by(col(SsoConnection.tenant_id), col(SsoConnection.issuer))
    )
    return [(tenant_id, issuer) for tenant_id, issuer in (await session.execute(statement)).all()]


class SsoLoginRepository:
    """The logins under way at one tenant's providers."""

    def __init__(self, session: AsyncSession, tenant_id: str) -> None:
        self._session = session
        self._tenant_id = tenant_id

    def add(self, login: SsoLogin) -> None:
        """Add a login."""
        self._session.add(login)

    async def answer(self, state_hash: str, browser_hash: str, now: datetime) -> SsoLogin | None:
        """The login that this browser began, whose answer from the provider is taken now; None ever after."""
        table = SsoLogin
        statement = (
            update(table)
            .where(
                col(table.tenant_id) == self._tenant_id,
                col(table.state_hash) == state_hash,
                col(table.browser_hash) == browser_hash,
                col(table.answered_at).is_(None),
                col(table.expires_at) > now,
            )
            .values(answered_at=now)
            .returning(table)
        )
        return (await self._session.execute(statement)).scalar_one_or_none()

    async def offer(self, state_hash: str, code_hash: str, sealed: str, expires_at: datetime) -> None:
        """Keep what the provider said, for whoever brings the code until `expires_at`."""
        table = SsoLogin
        statement = (
            update(table)
            .where(
                col(table.tenant_id) == self._tenant_id,
                col(table.state_hash) == state_hash,
                col(table.code_hash).is_(None),
            )
            .values(code_hash=code_hash, sealed=sealed, expires_at=expires_at)
        )
        await self._session.execute(statement)

    async def redeem(self, code_hash: str, browser_hash: str, now: datetime) -> tuple[str, str] | None:
        """The connection's id and what the provider said, for the code in the browser that began; None ever after."""
        table = SsoLogin
        statement = (
            delete(table)
            .where(
                col(table.tenant_id) == self._tenant_id,
                col(table.code_hash) == code_hash,
                col(table.browser_hash) == browser_hash,
                col(table.expires_at) > now,
            )
            .returning(col(table.connection_id), col(table.sealed))
        )
        found = (await self._session.execute(statement)).one_or_none()
        return None if found is None else (found[0], found[1])

    async def prune(self, now: datetime, limit: int) -> None:
        """Forget up to `limit` logins that have ended."""
        table = SsoLogin
        ended = (
            select(col(table.state_hash))
            .where(col(table.tenant_id) == self._tenant_id, col(table.expires_at) <= now)
            .order_by(col(table.expires_at))
            .limit(limit)
            # Somebody else who prunes at the same moment takes other rows.
            .with_for_update(skip_locked=True)
        )
        hashes = (await self._session.scalars(ended)).all()
        if hashes:
            mine = (col(table.tenant_id) == self._tenant_id, col(table.state_hash).in_(hashes))
            await self._session.execute(delete(table).where(*mine))


class SsoSessionRepository:
    """The sessions of one tenant's people that began with a provider's login."""

    def __init__(self, session: AsyncSession, tenant_id: str) -> None:
        self._session = session
        self._tenant_id = tenant_id

    def add(self, begun: SsoSession) -> None:
        """Add a session."""
        self._session.add(begun)

    async def find(self, family_id: str) -> SsoSession | None:
        """The session of this family, if it began so."""
        return await self._session.get(SsoSession, (self._tenant_id, family_id))


class UserIdentityRepository:
    """Who one tenant's people are at their providers."""

    def __init__(self, session: AsyncSession, tenant_id: str) -> None:
        self._session = session
        self._tenant_id = tenant_id

    async def find(self, issuer: str, subject: str) -> UserIdentity | None:
        """The identity, as last committed."""
        return await self._session.get(UserIdentity, (self._tenant_id, issuer, subject), populate_existing=True)

    async def add(self, identity: UserIdentity) -> bool:
        """Whether it was added: False when the identity or the person is linked at this issuer already."""
        if identity.tenant_id != self._tenant_id:
            raise ValueError("a repository adds identities of its own tenant only")
        insert = upsert(self._session, UserIdentity).values(**identity.model_dump()).on_conflict_do_nothing()
        return (await self._session.execute(insert.returning(col(UserIdentity.user_id)))).first() is not None
