"""Queries on tenants."""

from collections.abc import Collection, Sequence
from datetime import datetime

from sqlalchemy import Connection, bindparam, delete, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from db.models.identity import PLATFORM_TENANT, Tenant, TenantHost
from db.repositories.upsert import upsert


class TenantRepository:
    """One tenant's own row."""

    def __init__(self, session: AsyncSession, tenant_id: str) -> None:
        self._session = session
        self._tenant_id = tenant_id

    async def get(self) -> Tenant | None:
        """The tenant."""
        return await self._session.get(Tenant, self._tenant_id)

    async def get_locked(self) -> Tenant | None:
        """The tenant as last committed; nobody else changes it until the transaction ends."""
        return await self._session.get(Tenant, self._tenant_id, with_for_update=True)

    async def add(self, tenant: Tenant) -> bool:
        """Whether the tenant was added: False when its id is taken, by a racing transaction too."""
        if tenant.id != self._tenant_id:
            raise ValueError("a repository adds its own tenant only")
        insert = (
            upsert(self._session, Tenant).values(**tenant.model_dump()).on_conflict_do_nothing(index_elements=["id"])
        )
        return (await self._session.execute(insert.returning(col(Tenant.id)))).first() is not None


# Made once: every consumer asks it for every batch.
_BEYOND_RETURN = select(col(Tenant.id)).where(
    col(Tenant.id).in_(bindparam("tenants", expanding=True)),
    col(Tenant.status) == "deleted",
    col(Tenant.erase_after) <= bindparam("now"),
)


def beyond_return(connection: Connection, tenant_ids: Collection[str], now: datetime) -> set[str]:
    """Those of the tenants that are deleted and cannot be resumed any more."""
    return set(connection.scalars(_BEYOND_RETURN, {"tenants": list(tenant_ids), "now": now}))


class TenantHostRepository:
    """The host names of one tenant."""

    def __init__(self, session: AsyncSession, tenant_id: str) -> None:
        self._session = session
        self._tenant_id = tenant_id

    async def replace(self, hosts: Sequence[str]) -> set[str]:
        """Make these the tenant's host names, in this order of locks. Those of them that other tenants have."""
        mine = col(TenantHost.tenant_id) == self._tenant_id
        await self._session.execute(delete(TenantHost).where(mine, col(TenantHost.host).not_in(hosts)))
        for host in hosts:
            row = {"tenant_id": self._tenant_id, "host": host}
            await self._session.execute(upsert(self._session, TenantHost).values(row).on_conflict_do_nothing())
        kept = await self._session.execute(select(col(TenantHost.host)).where(mine))
        return set(hosts) - set(kept.scalars())


class TenantDirectory:
    """All customers, for the platform's operators: needs an unscoped unit."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def page_over_all_tenants(self, after: str | None, limit: int) -> list[Tenant]:
        """Up to `limit` customers by id, after the id `after`."""
        query = select(Tenant).where(col(Tenant.id) != PLATFORM_TENANT).order_by(col(Tenant.id)).limit(limit)
        if after is not None:
            query = query.where(col(Tenant.id) > after)
        return list((await self._session.execute(query)).scalars())
