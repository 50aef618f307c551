"""Leases: who leads a duty that one process at a time should do."""

from datetime import datetime

from sqlalchemy import delete
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from db.models.events import Lease
from db.repositories.upsert import upsert


class LeaseRepository:
    """Leases of the platform; for unscoped units. Clocks decide, so two holders must be harmless."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def acquire(self, name: str, holder: str, now: datetime, until: datetime) -> bool:
        """Take the lease when it is free or expired, or renew it; whether `holder` has it now."""
        statement = (
            upsert(self._session, Lease)
            .values(name=name, holder=holder, expires_at=until)
            .on_conflict_do_update(
                index_elements=["name"],
                set_={"holder": holder, "expires_at": until},
                where=(col(Lease.holder) == holder) | (col(Lease.expires_at) < now),
            )
            .returning(col(Lease.holder))
        )
        return (await self._session.execute(statement)).first() is not None

    async def release(self, name: str, holder: str) -> None:
        """Give the lease back, if `holder` has it."""
        await self._session.execute(delete(Lease).where(col(Lease.name) == name, col(Lease.holder) == holder))
