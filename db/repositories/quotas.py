"""How much of something a tenant may hold, and whether it was told that this is reached."""

from collections.abc import Collection

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from db.models.forms import FormCounter
from db.models.identity import Tenant
from db.models.tenancy import QuotaNotice
from db.repositories.upsert import upsert


class QuotaRepository:
    """The limits of one tenant, as its settings state them."""

    def __init__(self, session: AsyncSession, tenant_id: str) -> None:
        self._session = session
        self._tenant_id = tenant_id

    async def limit(self, name: str) -> int | None:
        """The limit, None for no limit. Locks the tenant, so that what is counted next stays true until the commit."""
        statement = select(col(Tenant.settings)).where(col(Tenant.id) == self._tenant_id).with_for_update()
        settings = await self._session.scalar(statement)
        value = (settings or {}).get(name)
        return None if value is None else int(value)

    async def responses(self, form_ids: Collection[str]) -> dict[str, int]:
        """How many responses count against the limit of each form."""
        counter = select(col(FormCounter.form_id), col(FormCounter.responses)).where(
            col(FormCounter.tenant_id) == self._tenant_id, col(FormCounter.form_id).in_(form_ids)
        )
        return {row.form_id: row.responses for row in await self._session.execute(counter)}

    async def noted(self, name: str, day: str) -> bool:
        """Whether it was noted."""
        return await self._session.get(QuotaNotice, (self._tenant_id, name, day)) is not None

    async def note(self, name: str, day: str) -> bool:
        """Note that the limit was reached on a day; whether that was not noted before."""
        row = {"tenant_id": self._tenant_id, "quota": name, "day": day}
        insert = upsert(self._session, QuotaNotice).values(row).on_conflict_do_nothing()
        return (await self._session.execute(insert.returning(col(QuotaNotice.quota)))).first() is not None
