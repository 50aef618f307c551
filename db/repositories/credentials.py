"""Queries on refresh tokens and API keys."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from sqlalchemy import delete, exists, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from db.models.federation import SsoSession
from db.models.identity import ApiKey, RefreshToken


class RefreshTokenRepository:
    """The refresh chains of one tenant's people."""

    def __init__(self, session: AsyncSession, tenant_id: str) -> None:
        self._session = session
        self._tenant_id = tenant_id

    def add(self, token: RefreshToken) -> None:
        """Add a link."""
        self._session.add(token)

    async def get(self, token_id: str) -> RefreshToken | None:
        """The link with this id."""
        return await self._session.get(RefreshToken, (self._tenant_id, token_id))

    async def find_by_hash(self, token_hash: str) -> RefreshToken | None:
        """The tenant's link with this hash."""
        query = select(RefreshToken).where(
            col(RefreshToken.tenant_id) == self._tenant_id, col(RefreshToken.token_hash) == token_hash
        )
        return (await self._session.execute(query)).scalar_one_or_none()

    async def revoke_family(self, family_id: str, now: datetime) -> None:
        """Make every link of the family worthless, and forget the provider's login that it began with."""
        await self._session.execute(
            update(RefreshToken)
            .where(
                col(RefreshToken.tenant_id) == self._tenant_id,
                col(RefreshToken.family_id) == family_id,
                col(RefreshToken.revoked_at).is_(None),
            )
            .values(revoked_at=now)
        )
        await self._session.execute(
            delete(SsoSession).where(
                col(SsoSession.tenant_id) == self._tenant_id, col(SsoSession.family_id) == family_id
            )
        )

    async def revoke_all(self, user_id: str, now: datetime, *, but: str = "") -> None:
        """Make every link of a person worthless, except those of the family `but`, and forget the logins as well."""
        await self._session.execute(
            update(RefreshToken)
            .where(
                col(RefreshToken.tenant_id) == self._tenant_id,
                col(RefreshToken.user_id) == user_id,
                col(RefreshToken.family_id) != but,
                col(RefreshToken.revoked_at).is_(None),
            )
            .values(revoked_at=now)
        )
        await self._session.execute(
            delete(SsoSession).where(
                col(SsoSession.tenant_id) == self._tenant_id,
                col(SsoSession.user_id) == user_id,
                col(SsoSession.family_id) != but,
            )
        )

    async def newest_links(self, user_id: str, now: datetime, limit: int) -> Sequence[tuple[RefreshToken, datetime]]:
        """Of each living family of a person its newest link and when it began; the one used last comes first."""
        table = RefreshToken
        began = func.min(col(table.created_at)).over(partition_by=col(table.family_id))
        rank = func.row_number().over(partition_by=col(table.family_id), order_by=col(table.id).desc())
        links = (
            select(col(table.id), began.label("began"), rank.label("rank"))
            .where(
                col(table.tenant_id) == self._tenant_id,
                col(table.user_id) == user_id,
                col(table.revoked_at).is_(None),
                col(table.expires_at) > now,
            )
            .subquery()
        )
        statement = (
            select(table, links.c.began)
            .join(links, links.c.id == col(table.id))
            .where(col(table.tenant_id) == self._tenant_id, links.c.rank == 1)
            .order_by(col(table.id).desc())
            .limit(limit)
        )
        return [(row[0], row[1]) for row in (await self._session.execute(statement)).all()]

    async def has_family(self, user_id: str, family_id: str) -> bool:
        """Whether the person has such a family that is not revoked."""
        statement = select(
            exists().where(
                col(RefreshToken.tenant_id) == self._tenant_id,
                col(RefreshToken.user_id) == user_id,
                col(RefreshToken.family_id) == family_id,
                col(RefreshToken.revoked_at).is_(None),
            )
        )
        return bool(await self._session.scalar(statement))


class ApiKeyRepository:
    """The API keys of one tenant."""

    def __init__(self, session: AsyncSession, tenant_id: str) -> None:
        self._session = session
        self._tenant_id = tenant_id

    def add(self, key: ApiKey) -> None:
        """Add a key."""
        self._session.add(key)

    async def get_locked(self, key_id: str) -> ApiKey | None:
        """The key as last committed; nobody else changes it until the transaction ends."""
        return await self._session.get(ApiKey, (self._tenant_id, key_id), with_for_update=True)

    async def page(self, after: str | None, limit: int) -> list[ApiKey]:
        """Up to `limit` keys by id (oldest first), after the id `after`."""
        query = select(ApiKey).where(col(ApiKey.tenant_id) == self._tenant_id).order_by(col(ApiKey.id)).limit(limit)
        if after is not None:
            query = query.where(col(ApiKey.id) > after)
        return list((await self._session.execute(query)).scalars())


class CredentialDirectory:
    """Secrets looked up before the tenant is known: needs an unscoped unit."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def find_refresh_token_in_any_tenant(self, token_hash: str) -> RefreshToken | None:
        """The link with this hash."""
        query = select(RefreshToken).where(col(RefreshToken.token_hash) == token_hash)
        return (await self._session.execute(query)).scalar_one_or_none()

    async def touch_api_keys_in_any_tenant(
        self, moments: Mapping[tuple[str, str], datetime], at_most_every: timedelta
    ) -> None:
        """Note when the keys (tenant id, key id) were last used; a note younger than `at_most_every` stays."""
        for (tenant_id, key_id), moment in moments.items():
            last = col(ApiKey.last_used_at)
            await self._session.execute(
                update(ApiKey)
                .where(
                    col(ApiKey.tenant_id) == tenant_id,
                    col(ApiKey.id) == key_id,
                    or_(last.is_(None), last <= moment - at_most_every),
                )
                .values(last_used_at=moment)
            )
