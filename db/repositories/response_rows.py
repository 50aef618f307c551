"""Single responses as plain columns, for those who only show them."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import Row, Select, and_, bindparam, select
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlmodel import col

from db.models.forms import Form, FormVersion
from db.models.responses import Response
from db.repositories.published_forms import newest_version
from db.repositories.response_filters import Filtering


class ResponseRowRepository:
    """The responses of one tenant that are not in the trash, nor their form."""

    def __init__(self, connection: AsyncConnection, tenant_id: str) -> None:
        self._connection = connection
        self._tenant_id = tenant_id

    async def find(self, response_id: str, columns: Sequence[str]) -> Row[Any] | None:
        """The named columns of a response, see `Filtering.picked`, and `newest_version`, that of its form."""
        statement = _one(self._connection.dialect.name, tuple(columns))
        mine = {"tenant": self._tenant_id, "response": response_id}
        row: Row[Any] | None = (await self._connection.execute(statement, mine)).one_or_none()
        return row


@lru_cache(maxsize=32)
def _one(dialect: str, columns: tuple[str, ...]) -> Select[Any]:
    newest = newest_version().where(
        col(FormVersion.tenant_id) == col(Response.tenant_id), col(FormVersion.form_id) == col(Response.form_id)
    )
    return (
        select(*Filtering(dialect).picked(Response, columns), newest.scalar_subquery().label("newest_version"))
        .join(Form, and_(col(Form.tenant_id) == col(Response.tenant_id), col(Form.id) == col(Response.form_id)))
        .where(
            col(Response.tenant_id) == bindparam("tenant"),
            col(Response.id) == bindparam("response"),
            col(Response.deleted_at).is_(None),
            col(Form.deleted_at).is_(None),
        )
    )
