"""Reads what changed, for those who keep a table of a form's responses."""

import asyncio
from collections.abc import Collection

from db.repositories.response_query import ResponseQueryRepository
from db.repositories.responses import COMPLETE
from db.session import UnitOfWork
from deployments.kit.personal import personal_fields
from deployments.responses.contracts import ChangedRows, ExportResponses
from deployments.responses.exporting.rows import ArrowRows
from deployments.responses.exporting.table import table_of
from deployments.responses.query.forms import SearchedForm


async def changed_rows(
    unit: UnitOfWork,
    form: SearchedForm,
    after: int,
    wanted: ExportResponses,
    limit: int,
    hidden: Collection[str],
) -> ChangedRows:
    """The next rows that changed. The changes of a form are numbered in the order of their commits, so none is missed;
    a row that changes again meanwhile is in a later piece."""
    writer = ArrowRows(table_of(form, wanted, hidden))
    read = tuple(dict.fromkeys((*writer.read, "id", "status", "change", "deleted_at")))
    repository = ResponseQueryRepository(unit.connection, unit.tenant, form.form_id)
    rows = await repository.changes(after, limit + 1, read)
    piece = rows[:limit]
    there = [row for row in piece if row.deleted_at is None and row.status == COMPLETE]
    known = {row.id for row in there}
    return ChangedRows(
        content=await asyncio.to_thread(writer.encode, there, 0),
        gone=[row.id for row in piece if row.id not in known],
        through=piece[-1].change if piece else after,
        has_more=len(rows) > limit,
        personal=sorted(personal_fields(form.definitions)),
    )
