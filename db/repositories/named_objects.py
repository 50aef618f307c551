"""Which objects of the store the rows of the database name, over all tenants."""

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import ColumnElement, Select, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlmodel import SQLModel, col

from db.models.classifiers import ClassifierVersion
from db.models.exports import ResponseExport
from db.models.files import File
from db.models.registered_models import RegisteredModel
from db.models.reports import Report
from db.models.tenancy import TenantExport

_PAGE: Final = 1_000


@dataclass(frozen=True, slots=True)
class Named:
    """An object of a tenant: its key, or the id of a file, which its key is made of."""

    tenant_id: str
    key: str | None = None
    file_id: str | None = None


KEY_COLUMNS: Final[tuple[tuple[type[SQLModel], str, tuple[str, ...]], ...]] = (
    (ResponseExport, "file", ("tenant_id", "id")),
    (Report, "file", ("tenant_id", "id")),
    (RegisteredModel, "file", ("tenant_id", "id")),
    (ClassifierVersion, "file", ("tenant_id", "classifier_id", "number")),
    (TenantExport, "file", ("tenant_id", "id")),
)
"""Tables with the key of an object that belongs to the row for good, and the tables' own keys."""


async def named_objects(connection: AsyncConnection) -> AsyncGenerator[list[Named], None]:
    """Everything that is stored for good, page by page."""
    stored = col(File.state) == "stored"
    async for page in _pages(connection, File, "id", ("tenant_id", "id"), stored):
        yield [Named(tenant_id, file_id=value) for tenant_id, value in page]
    for model, column, key in KEY_COLUMNS:
        async for page in _pages(connection, model, column, key, col(getattr(model, column)).is_not(None)):
            yield [Named(tenant_id, key=value) for tenant_id, value in page]


async def _pages(
    connection: AsyncConnection, model: type[SQLModel], column: str, key: tuple[str, ...], which: ColumnElement[bool]
) -> AsyncGenerator[Sequence[tuple[str, str]], None]:
    keys = [col(getattr(model, name)) for name in key]
    value: ColumnElement[str] = col(getattr(model, column)).label("named")
    after: tuple[Any, ...] | None = None
    while True:
        statement: Select[Any] = select(*keys, value).where(which).order_by(*keys).limit(_PAGE)
        if after is not None:
            statement = statement.where(tuple_(*keys) > tuple_(*after))
        rows = (await connection.execute(statement)).all()
        yield [(row[0], row.named) for row in rows]
        if len(rows) < _PAGE:
            return
        after = tuple(rows[-1][: len(keys)])
