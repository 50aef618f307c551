"""The door of responses: opens the unit of work, calls the rules, returns contracts."""

from db.session import Database
from deployments.kit.contract import Page
from deployments.kit.features import require_feature, settings_of
from deployments.kit.principal import Principal
from deployments.responses.contracts import (
    Changes,
    ExportChunk,
    ExportResponses,
    ImportOutcome,
    ImportRow,
    ListResponses,
    Response,
    SubmitResponse,
    SubmittedResponse,
)
from deployments.responses.desk import ResponseDesk
from deployments.responses.export import export_chunk
from deployments.responses.importing import import_rows
from deployments.responses.life_contracts import PartialResponse
from deployments.responses.partials import Partials
from deployments.responses.query.forms import SearchedForms
from deployments.responses.query.listing import Listing, searching
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
        self._searched = SearchedForms()
        self._listing = Listing(database, self._searched, self._personal)

    async def submit(self, principal: Principal, command: SubmitResponse) -> SubmittedResponse:
        return await self._submitting.submit(principal, command)

    async def resume(self, principal: Principal, token: str) -> PartialResponse:
        return await self._resuming.resume(principal, token)

    async def save_partial(
        self, principal: Principal, token: str, body: bytes, idempotency_key: str | None
    ) -> PartialResponse:
        return await self._resuming.save(principal, token, body, idempotency_key)

    async def list_responses(self, principal: Principal, query: ListResponses) -> Page[Response]:
        return await self._listing.page(principal, query)

    async def list_changes(self, principal: Principal, form_id: str, after: str | None, limit: int) -> Changes:
        return await self._listing.changes(principal, form_id, after, limit)

    async def import_rows(self, principal: Principal, form_id: str, rows: list[ImportRow]) -> ImportOutcome:
        form = await self._forms.get(principal.tenant_id, form_id=form_id)
        async with self._database.write(principal.tenant_id) as unit:
            return await import_rows(unit, principal, form, rows)

    async def export_csv(
        self, principal: Principal, form_id: str, cursor: str | None, wanted: ExportResponses | None = None
    ) -> ExportChunk:
        with searching():
            async with self._database.snapshot(principal.tenant_id) as unit:
                if cursor is None:  # an export that has begun is not broken off
                    require_feature(await settings_of(unit), "exports")
                hidden = await self._personal.hidden(unit, principal, form_id)
                return await export_chunk(unit, self._searched, form_id, cursor, wanted or ExportResponses(), hidden)

    async def close(self) -> None:
        """Store what was taken."""
        await self._submitting.drain()
