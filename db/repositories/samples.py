"""Some rows of a tenant by chance, where all of them would be too many."""

import random
from typing import TypeVar

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import SQLModel, col

from db.models.files import File
from db.models.forms import FormVersion
from db.models.responses import Response

Row = TypeVar("Row", bound=SQLModel)


class SampleRepository:
    """Chooses among a tenant's responses and files; the same `seed` chooses the same."""

    def __init__(self, session: AsyncSession, tenant_id: str) -> None:
        self._session = session
        self._tenant_id = tenant_id

    async def responses(self, wanted: int, seed: int) -> list[str]:
        """Ids of responses, all of them when there are not more than `wanted`."""
        return await self._ids(Response, wanted, seed)

    async def files(self, wanted: int, seed: int) -> list[str]:
        """The same of files."""
        return await self._ids(File, wanted, seed)

    async def response(self, response_id: str) -> Response | None:
        return await self._session.get(Response, (self._tenant_id, response_id))

    async def file(self, file_id: str) -> File | None:
        return await self._session.get(File, (self._tenant_id, file_id))

    async def version(self, form_id: str, number: int) -> FormVersion | None:
        return await self._session.get(FormVersion, (self._tenant_id, form_id, number))

    async def _ids(self, model: type[Response] | type[File], wanted: int, seed: int) -> list[str]:
        ids, mine = col(model.id), col(model.tenant_id) == self._tenant_id
        count, first, last = (
            await self._session.execute(select(func.count(), func.min(ids), func.max(ids)).where(mine))
        ).one()
        if count <= wanted:
            return list(await self._session.scalars(select(ids).where(mine).order_by(ids)))
        # Ids are times, so that any moment leads to one; the first after it is the one.
        prefix, _, low = first.partition("_")
        high = last.partition("_")[2]
        chance = random.Random(f"{seed}/{self._tenant_id}")
        found: set[str] = {first, last}
        for _ in range(max(0, wanted - 2)):
            point = f"{prefix}_{chance.randint(int(low, 16), int(high, 16)):032x}"
            chosen = await self._session.scalar(select(ids).where(mine, ids >= point).order_by(ids).limit(1))
            found.update([] if chosen is None else [chosen])
        return sorted(found)
