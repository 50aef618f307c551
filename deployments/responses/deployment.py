"""The door of responses: opens the unit of work, calls the rules, returns contracts."""

from datetime import datetime

from db.repositories.published_forms import PublishedFormRepository
from db.repositories.responses import ResponseRepository
from db.session import Database
from deployments.kit.contract import Page, PageMeta
from deployments.kit.errors import Invalid
from deployments.kit.features import require_feature, settings_of
from deployments.kit.pagination import decode_cursor, encode_cursor
from deployments.kit.principal import Principal
from deployments.responses.contracts import (
    ExportChunk,
    ImportOutcome,
    ImportRow,
    ListResponses,
    Response,
    SubmitResponse,
    SubmittedResponse,
)
from deployments.responses.desk import ResponseDesk
from deployments.responses.errors import FormNotFound
from deployments.responses.export import export_chunk
from deployments.responses.importing import import_rows
from deployments.responses.life_contracts import PartialResponse
from deployments.responses.partials import Partials
from deployments.responses.presenting import to_responses
from deployments.responses.resuming import Resuming
from deployments.responses.settings import ResponsesSettings
from deployments.responses.submitting import Submitting


class Responses(ResponseDesk):
    """Taking, reading, changing and exporting responses; satisfies `ResponsesApi`."""

    def __init__(self, database: Database, settings: ResponsesSettings | None = None) -> None:
        super().__init__(database)
        settings = settings or ResponsesSettings()
        self._submitting = Submitting(database, self._forms, Partials(database, settings, self._keys))
        self._resuming = Resuming(database, self._forms, self._submitting, settings, self._keys)

    async def submit(self, principal: Principal, command: SubmitResponse) -> SubmittedResponse:
        return await self._submitting.submit(principal, command)

    async def resume(self, principal: Principal, token: str) -> PartialResponse:
        return await self._resuming.resume(principal, token)

    async def save_partial(
        self, principal: Principal, token: str, body: bytes, idempotency_key: str | None
    ) -> PartialResponse:
        return await self._resuming.save(principal, token, body, idempotency_key)

    async def list_responses(self, principal: Principal, query: ListResponses) -> Page[Response]:
        after = _position(query)
        async with self._database.read(principal.tenant_id) as unit:
            if not await PublishedFormRepository(unit.session, unit.tenant).exists(query.form_id):
                raise FormNotFound
            repository = ResponseRepository(unit.session, unit.tenant)
            rows = await repository.page(
                query.form_id, after=after, limit=query.limit + 1, newest_first=query.sort == "-submitted_at"
            )
            total = await repository.count(query.form_id) if query.include_total else None
            hidden = await self._personal.hidden(unit, principal, query.form_id)
            data = await to_responses(unit, rows[: query.limit], hidden)
        next_cursor = None
        if len(rows) > query.limit:
            last = rows[query.limit - 1]
            next_cursor = encode_cursor(_sort_key(query), [last.submitted_at.isoformat(), last.id])
        return Page[Response](data=data, meta=PageMeta(limit=query.limit, next_cursor=next_cursor, total=total))

    async def import_rows(self, principal: Principal, form_id: str, rows: list[ImportRow]) -> ImportOutcome:
        form = await self._forms.get(principal.tenant_id, form_id=form_id)
        async with self._database.write(principal.tenant_id) as unit:
            return await import_rows(unit, principal, form, rows)

    async def export_csv(self, principal: Principal, form_id: str, cursor: str | None) -> ExportChunk:
        async with self._database.read(principal.tenant_id) as unit:
            if cursor is None:  # an export that has begun is not broken off
                require_feature(await settings_of(unit), "exports")
            hidden = await self._personal.hidden(unit, principal, form_id)
            return await export_chunk(unit, form_id, cursor, hidden)

    async def close(self) -> None:
        """Store what was taken."""
        await self._submitting.drain()


def _sort_key(query: ListResponses) -> str:
    return f"{query.form_id}{query.sort}"


def _position(query: ListResponses) -> tuple[datetime, str] | None:
    if query.cursor is None:
        return None
    at, last_id = decode_cursor(query.cursor, _sort_key(query), 2)
    try:
        return datetime.fromisoformat(at), last_id
    except ValueError as error:
        raise Invalid.at("/cursor", "cursor.invalid", "the cursor does not belong to this list and sort") from error
