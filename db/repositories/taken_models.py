"""What others may know of the models that a tenant brought."""

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from db.models.registered_models import RegisteredModel


@dataclass(frozen=True, slots=True)
class TakenModel:
    """A model: once its check has ended, neither its state nor its kind changes."""

    state: str
    kind: str | None


class TakenModelRepository:
    """The models of one tenant, for the contexts that they do not belong to."""

    def __init__(self, session: AsyncSession, tenant_id: str) -> None:
        self._session = session
        self._tenant_id = tenant_id

    async def find(self, ids: Collection[str]) -> dict[str, TakenModel]:
        """Those of the models that there are."""
        statement = select(col(RegisteredModel.id), col(RegisteredModel.state), col(RegisteredModel.kind)).where(
            col(RegisteredModel.tenant_id) == self._tenant_id, col(RegisteredModel.id).in_(ids)
        )
        return {row.id: TakenModel(row.state, row.kind) for row in await self._session.execute(statement)}
