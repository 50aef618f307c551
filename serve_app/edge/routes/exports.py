"""Responses as files: streamed at once, or made by a job and fetched later."""

import asyncio
import re
from collections.abc import AsyncIterator
from typing import Final, Literal

from pydantic import Field

from deployments.exports.contracts import (
    CreateExportLink,
    Export,
    ExportFormat,
    ExportLink,
    OrderedExport,
    OrderExport,
)
from deployments.exports.packing import FORMATS, packed
from deployments.kit.contract import Page
from deployments.responses.contracts import ExportChunk, ExportResponses, RowFormat
from serve_app.edge.operations import (
    IDEMPOTENCY_KEY,
    IF_NONE_MATCH,
    Exchange,
    Handler,
    Operation,
    PageQuery,
    Reply,
)
from serve_app.edge.orders import accepted
from serve_app.edge.parsing import idempotency_key
from serve_app.edge.revisions import matches
from serve_app.edge.routes.made_files import MadeFileOperations
from serve_app.edge.routes.responses import SelectionQuery

_UNSAFE: Final = re.compile(r"[^A-Za-z0-9_-]")


class ExportQuery(SelectionQuery):
    """Which responses in which order, which columns, and how they look."""

    sort: str = Field(
        default="submitted_at",
        pattern="^-?[a-z][A-Za-z0-9_.-]{0,199}$",
        description="Metadata or an answer with one value; `-`: descending. Without a value they come last.",
    )
    columns: str | None = Field(
        default=None,
        max_length=3000,
        description="Columns in their order, separated by commas: `side.corn`, or `side` for all of a field.",
    )
    labels: bool = Field(
        default=True, description="Labels of options and titles of columns; `false`: ids of options, keys of columns."
    )
    lists: bool = Field(
        default=False, description="One column for an answer of several options, instead of one for each option."
    )
    details: bool = Field(default=False, description="More columns of metadata.")
    file_links: bool = Field(default=False, description="Addresses of files instead of their ids.")


def _streamed(form: ExportFormat) -> Handler:
    async def stream(x: Exchange) -> Reply:
        form_id, query = x.path["form_id"], x.query
        columns = None if query.columns is None else [name for name in query.columns.split(",") if name]
        wanted = ExportResponses(**{**query.model_dump(), "columns": columns})
        state = await x.apis.responses.export_state(x.principal, form_id, wanted)
        # Weak, because what changes while the file is on its way may be in it.
        tag = f'W/"{state.tag}-{form}"'
        headers = (("etag", tag), ("cache-control", "private, no-cache"))
        if matches(x.header("if-none-match"), tag.removeprefix("W/")):
            return Reply(status=304, headers=headers)
        name = f"responses-{_UNSAFE.sub('_', form_id)}.{form}"
        return Reply(
            stream=packed(form, _chunks(x, form_id, wanted, FORMATS[form].rows)),
            media_type=FORMATS[form].media_type,
            headers=(*headers, ("content-disposition", f'attachment; filename="{name}"')),
        )

    return stream


async def _chunks(x: Exchange, form_id: str, wanted: ExportResponses, rows: RowFormat) -> AsyncIterator[ExportChunk]:
    """The chunks, of which the next one is asked for while one is sent: a slow client holds two, and no snapshot."""

    def ask(cursor: str | None) -> asyncio.Task[ExportChunk]:
        return asyncio.ensure_future(x.apis.responses.export_chunk(x.principal, form_id, cursor, wanted, rows))

    upcoming = ask(None)
    try:
        while True:
            chunk = await upcoming
            if chunk.next_cursor is None:
                yield chunk
                return
            upcoming = ask(chunk.next_cursor)
            yield chunk
    finally:
        upcoming.cancel()
        await asyncio.gather(upcoming, return_exceptions=True)


async def order_export(x: Exchange) -> Reply:
    key = idempotency_key(x.request)
    return accepted(await x.apis.exports.order(x.principal, x.path["form_id"], x.body, key))


async def list_exports(x: Exchange) -> Reply:
    query: PageQuery = x.query
    return Reply(await x.apis.exports.list_exports(x.principal, x.path["form_id"], query.cursor, query.limit))


def _streaming(form: Literal["csv", "jsonl", "parquet", "xlsx"], name: str, about: str) -> Operation:
    return Operation(
        id=f"export_responses_{form}",
        method="GET",
        path=f"/api/v1/forms/{{form_id}}/responses.{form}",
        summary=f"The responses to a form as {name}",
        description=f"{about} Streamed, oldest first unless sorted. A connection that breaks before the end means an "
        "incomplete file. With `If-None-Match` the answer is 304 when nothing has changed. See docs/guides/exports.md.",
        tag="Exports",
        scope="responses:read",
        rate="export",
        handler=_streamed(form),
        query=ExportQuery,
        response=str if form in ("csv", "jsonl") else bytes,
        response_media_type=FORMATS[form].media_type.partition(";")[0],
        headers=(IF_NONE_MATCH,),
        errors=(304,),
    )


OPERATIONS = (
    _streaming("csv", "CSV", "UTF-8 with a byte order mark; no cell is a formula."),
    _streaming("jsonl", "JSON Lines", "Each line is a response as the list has it."),
    _streaming("parquet", "Parquet", "Typed columns by their keys, compressed with Zstandard."),
    _streaming("xlsx", "XLSX", "Numbers and dates are such; every other cell is a text."),
    Operation(
        id="order_export",
        method="POST",
        path="/api/v1/forms/{form_id}/exports",
        summary="Have the responses to a form made into a file",
        description="A job makes it; its result has `download_url`, `expires_at`, `rows` and `bytes`. The file holds "
        "what you may see now, and is removed when it expires.",
        tag="Exports",
        scope="responses:read",
        handler=order_export,
        request=OrderExport,
        response=OrderedExport,
        status=202,
        headers=(IDEMPOTENCY_KEY,),
        errors=(409,),
        example={"format": "parquet", "filter": {}, "columns": None},
    ),
    Operation(
        id="list_exports",
        method="GET",
        path="/api/v1/forms/{form_id}/exports",
        summary="The exports of a form, newest first",
        description="Those that you may fetch: one with personal answers needs the permission to see these.",
        tag="Exports",
        scope="responses:read",
        handler=list_exports,
        query=PageQuery,
        response=Page[Export],
    ),
    *MadeFileOperations(
        api=lambda apis: apis.exports,
        noun="an export",
        scope="responses:read",
        media_type="application/octet-stream",
        shown=Export,
        link_order=CreateExportLink,
        link=ExportLink,
    ).operations(),
)
