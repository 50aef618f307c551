"""Queries on models that tenants brought."""

from collections.abc import Sequence

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from db.models.registered_models import RegisteredModel


class RegisteredModelRepository:
    """The models that one tenant brought."""

    def __init__(self, session: AsyncSession, tenant_id: str) -> None:
        self._session = session
        self._tenant_id = tenant_id

    def add(self, model: RegisteredModel) -> None:
        """Add a model."""
        self._session.add(model)

    async def find(self, model_id: str, *, for_update: bool = False) -> RegisteredModel | None:
        """The model with this id; with `for_update` nobody else changes it until the transaction ends."""
        return await self._session.get(RegisteredModel, (self._tenant_id, model_id), with_for_update=for_update)

    async def count(self) -> int:
        """How many models there are."""
        statement = select(func.count()).where(col(RegisteredModel.tenant_id) == self._tenant_id)
        return await self._session.scalar(statement) or 0

    async def all(self) -> Sequence[RegisteredModel]:
        """Every model, the oldest first."""
        mine = col(RegisteredModel.tenant_id) == self._tenant_id
        statement = select(RegisteredModel).where(mine).order_by(col(RegisteredModel.id))
        return (await self._session.scalars(statement)).all()

    async def delete(self, model: RegisteredModel) -> None:
        """Delete the model."""
        await self._session.delete(model)
