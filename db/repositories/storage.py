"""Files of a tenant that count against its quota."""

from sqlalchemy import delete, func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from db.models.tenancy import StoredObject
from db.repositories.upsert import upsert
from db.types import utc_now


class StorageRepository:
    """The files of one tenant, by their keys in the object store."""

    def __init__(self, session: AsyncSession, tenant_id: str) -> None:
        self._session = session
        self._tenant_id = tenant_id

    async def used(self, *, but: str = "") -> int:
        """Bytes of all files, except the file `but`."""
        counted = col(StoredObject.tenant_id) == self._tenant_id, col(StoredObject.file) != but
        return int(await self._session.scalar(select(func.sum(col(StoredObject.bytes))).where(*counted)) or 0)

    async def add(self, file: str, size: int) -> None:
        """Count a file of so many bytes; once, however often it is added."""
        row = {"tenant_id": self._tenant_id, "file": file, "bytes": size, "created_at": utc_now()}
        await self._session.execute(upsert(self._session, StoredObject).values(row).on_conflict_do_nothing())

    async def resize(self, file: str, size: int) -> None:
        """Count so many bytes for a file from now on, whether it was counted or not."""
        row = {"tenant_id": self._tenant_id, "file": file, "bytes": size, "created_at": utc_now()}
        insert = upsert(self._session, StoredObject).values(row)
        key = [col(StoredObject.tenant_id), col(StoredObject.file)]
        await self._session.execute(insert.on_conflict_do_update(index_elements=key, set_={"bytes": size}))

    async def remove(self, file: str) -> None:
        """Count a file no more; one that is not counted is no error."""
        mine = col(StoredObject.tenant_id) == self._tenant_id, col(StoredObject.file) == file
        await self._session.execute(delete(StoredObject).where(*mine))
