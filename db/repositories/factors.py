"""Queries on second factors and recovery codes."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import delete, func, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from db.models.factors import RecoveryCode, SecondFactor


class SecondFactorRepository:
    """The second factors of one tenant's people."""

    def __init__(self, session: AsyncSession, tenant_id: str) -> None:
        self._session = session
        self._tenant_id = tenant_id

    async def get(self, user_id: str, kind: str) -> SecondFactor | None:
        """The person's factor of this kind, confirmed or not."""
        return await self._session.get(SecondFactor, (self._tenant_id, user_id, kind), populate_existing=True)

    async def of_user(self, user_id: str) -> Sequence[SecondFactor]:
        """The confirmed factors of a person, by kind."""
        query = (
            select(SecondFactor)
            .where(
                col(SecondFactor.tenant_id) == self._tenant_id,
                col(SecondFactor.user_id) == user_id,
                col(SecondFactor.confirmed_at).is_not(None),
            )
            .order_by(col(SecondFactor.kind))
        )
        return (await self._session.scalars(query)).all()

    async def put(self, factor: SecondFactor) -> None:
        """Add a factor in the place of the person's earlier one of the same kind."""
        if factor.tenant_id != self._tenant_id:
            raise ValueError("a repository adds factors of its own tenant only")
        await self.remove(factor.user_id, factor.kind)
        await self._session.execute(insert(SecondFactor).values(**factor.model_dump()))

    async def remove(self, user_id: str, kind: str) -> bool:
        """Whether there was such a factor, confirmed or not; now there is none."""
        own = (
            col(SecondFactor.tenant_id) == self._tenant_id,
            col(SecondFactor.user_id) == user_id,
            col(SecondFactor.kind) == kind,
        )
        statement = delete(SecondFactor).where(*own).returning(col(SecondFactor.confirmed_at))
        return (await self._session.execute(statement)).first() is not None

    async def use_step(self, user_id: str, step: int) -> bool:
        """Whether no code of this time step of the person's TOTP, nor of a later one, was used before."""
        statement = (
            update(SecondFactor)
            .where(
                col(SecondFactor.tenant_id) == self._tenant_id,
                col(SecondFactor.user_id) == user_id,
                col(SecondFactor.kind) == "totp",
                or_(col(SecondFactor.last_step).is_(None), col(SecondFactor.last_step) < step),
            )
            .values(last_step=step)
            .returning(col(SecondFactor.kind))
        )
        return (await self._session.execute(statement)).first() is not None


class RecoveryCodeRepository:
    """The recovery codes of one tenant's people."""

    def __init__(self, session: AsyncSession, tenant_id: str) -> None:
        self._session = session
        self._tenant_id = tenant_id

    async def replace(self, user_id: str, hashes: Sequence[str], now: datetime) -> None:
        """Give a person these codes instead of the earlier ones; none for no hashes."""
        own = (col(RecoveryCode.tenant_id) == self._tenant_id, col(RecoveryCode.user_id) == user_id)
        await self._session.execute(delete(RecoveryCode).where(*own))
        if hashes:
            rows = [
                RecoveryCode(tenant_id=self._tenant_id, user_id=user_id, code_hash=each, created_at=now).model_dump()
                for each in hashes
            ]
            await self._session.execute(insert(RecoveryCode).values(rows))

    async def left(self, user_id: str) -> int:
        """How many codes a person has not used."""
        query = select(func.count()).where(
            col(RecoveryCode.tenant_id) == self._tenant_id,
            col(RecoveryCode.user_id) == user_id,
            col(RecoveryCode.used_at).is_(None),
        )
        return await self._session.scalar(query) or 0

    async def use(self, user_id: str, code_hash: str, now: datetime) -> bool:
        """Whether the person had this code and had not used it."""
        statement = (
            update(RecoveryCode)
            .where(
                col(RecoveryCode.tenant_id) == self._tenant_id,
                col(RecoveryCode.user_id) == user_id,
                col(RecoveryCode.code_hash) == code_hash,
                col(RecoveryCode.used_at).is_(None),
            )
            .values(used_at=now)
            .returning(col(RecoveryCode.code_hash))
        )
        return (await self._session.execute(statement)).first() is not None
