"""All rows of one form, whatever they are: found in the models, so that a new table is covered at once."""

from collections.abc import Iterable
from typing import Final

from sqlalchemy import ColumnElement, Table, delete, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from db.models import SQLModel
from db.models.events import DeadLetter, Event, FailedEvent
from db.models.forms import FormCounter
from db.models.responses import IdempotencyKey
from db.models.tenancy import StoredObject
from db.models.webhooks import WebhookDelivery
from db.repositories.tenant_data import tables_to_erase

# The audit trail is never cut, an endpoint is the tenant's to delete, and the counter tells in the end how many
# responses there were.
_KEPT: Final = {"audit_entry", "event", "webhook_endpoint", str(FormCounter.__tablename__)}
# What repeats an event, with all its answers.
_REPEATED: Final = (WebhookDelivery, DeadLetter, FailedEvent)
_ABOUT_THE_FORM: Final = "form."


def tables_of_forms() -> tuple[str, ...]:
    """Every table whose rows belong to a form and go before it, in an order in which no foreign key objects."""
    return tuple(
        name for name in tables_to_erase() if "form_id" in SQLModel.metadata.tables[name].columns and name not in _KEPT
    )


class FormDataRepository:
    """The rows of one form in any table."""

    def __init__(self, session: AsyncSession, tenant_id: str, form_id: str) -> None:
        self._session = session
        self._tenant_id = tenant_id
        self._form_id = form_id

    async def erase(self, name: str, limit: int) -> int:
        """Delete up to `limit` rows of a table of `tables_of_forms`; how many there were."""
        table = SQLModel.metadata.tables[name]
        return await self._erase(table, (table.c.form_id == self._form_id,), limit)

    async def erase_keys(self, limit: int) -> int:
        """Delete up to `limit` idempotency keys of submissions to the form; how many there were."""
        scope = col(IdempotencyKey.scope).startswith(f"submit:{self._form_id}:", autoescape=True)
        return await self._erase(_table(IdempotencyKey), (scope,), limit)

    async def erase_repeated(self, limit: int) -> int:
        """Delete up to `limit` deliveries, failures and dead letters of events about the form's responses."""
        ids = select(col(Event.id)).where(*self._told())
        erased = 0
        for kind in _REPEATED:
            erased += await self._erase(_table(kind), (col(kind.event_id).in_(ids),), limit)
        return erased

    async def erase_events(self, limit: int) -> int:
        """Delete up to `limit` events about the form's responses; how many there were. Those about itself stay."""
        return await self._erase(_table(Event), self._told(), limit)

    async def has_unpublished(self) -> bool:
        """Whether an event about a response of the form is still to be published."""
        statement = select(col(Event.id)).where(*self._told(), col(Event.published_at).is_(None)).limit(1)
        return await self._session.scalar(statement) is not None

    async def forget_objects(self, prefix: str) -> None:
        """Count the files below `prefix/` no more."""
        mine = col(StoredObject.tenant_id) == self._tenant_id
        below = col(StoredObject.file).startswith(f"{prefix}/", autoescape=True)
        await self._session.execute(delete(StoredObject).where(mine, below))

    def _told(self) -> tuple[ColumnElement[bool], ...]:
        return (
            col(Event.tenant_id) == self._tenant_id,
            col(Event.form_id) == self._form_id,
            col(Event.type).not_like(f"{_ABOUT_THE_FORM}%"),
        )

    async def _erase(self, table: Table, which: Iterable[ColumnElement[bool]], limit: int) -> int:
        key = list(table.primary_key.columns)
        mine = table.c.tenant_id == self._tenant_id
        chosen = select(*key).where(mine, *which).limit(limit)
        connection = await self._session.connection()
        result = await connection.execute(delete(table).where(mine, tuple_(*key).in_(chosen)))
        return result.rowcount


def _table(kind: type[SQLModel]) -> Table:
    return SQLModel.metadata.tables[str(kind.__tablename__)]
