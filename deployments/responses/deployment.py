"""The door of responses: opens the unit of work, calls the rules, returns contracts."""

from db.session import Database
from deployments.kit.cache import Caches
from deployments.kit.contract import Page
from deployments.kit.principal import Principal
from deployments.responses.contracts import (
    ChangedMonths,
    ChangedRows,
    Changes,
    ExportChunk,
    ExportResponses,
    ExportState,
    ImportOutcome,
    ImportRow,
    ListResponses,
    Response,
    RowFormat,
    Selection,
    SubmitResponse,
    SubmittedResponse,
)
from deployments.responses.desk import ResponseDesk
from deployments.responses.exporting.door import Exporting
from deployments.responses.importing import import_rows
from deployments.responses.life_contracts import PartialResponse
from deployments.responses.partials import Partials
from deployments.responses.query.listing import Listing
from deployments.responses.resuming import Resuming
from deployments.responses.screening import Screening
from deployments.responses.settings import ResponsesSettings
from deployments.responses.submitting import Submitting


class Responses(ResponseDesk):
    """Taking, reading, changing and exporting responses; satisfies `ResponsesApi`."""

    def __init__(
        self,
        database: Database,
        settings: ResponsesSettings | None = None,
        screening: Screening | None = None,
        caches: Caches | None = None,
    ) -> None:
        super().__init__(database, caches)
        settings = settings or ResponsesSettings()
        self._screening = screening or Screening(database)
        partials = Partials(database, settings, self._keys)
        self._submitting = Submitting(database, self._forms, partials, self._screening)
        self._resuming = Resuming(database, self._forms, self._submitting, settings, self._keys, self._screening)
        self._listing = Listing(database, self._searched, self._personal, caches)
        self._exporting = Exporting(database, self._searched, self._personal, settings.public_url)

    async def submit(self, principal: Principal, command: SubmitResponse) -> SubmittedResponse:
        return await self._submitting.submit(principal, command)

    async def submit_screened(self, principal: Principal, command: SubmitResponse) -> SubmittedResponse:
        return await self._submitting.submit(principal, command, may_ask=True)

    async def resume(self, principal: Principal, token: str) -> PartialResponse:
        return await self._resuming.resume(principal, token)

    async def save_partial(
        self, principal: Principal, token: str, body: bytes, idempotency_key: str | None
    ) -> PartialResponse:
        return await self._resuming.save(principal, token, body, idempotency_key)

    async def save_screened(
        self, principal: Principal, token: str, body: bytes, idempotency_key: str | None
    ) -> PartialResponse:
        return await self._resuming.save(principal, token, body, idempotency_key, may_ask=True)

    async def list_responses(self, principal: Principal, query: ListResponses) -> Page[Response]:
        return Page[Response].model_validate_json(await self._listing.page(principal, query))

    async def list_as_json(self, principal: Principal, query: ListResponses) -> bytes:
        return await self._listing.page(principal, query)

    async def pick(self, principal: Principal, form_id: str, ids: list[str], selection: Selection) -> list[Response]:
        return await self._listing.pick(principal, form_id, ids, selection)

    async def list_changes(self, principal: Principal, form_id: str, after: str | None, limit: int) -> Changes:
        return Changes.model_validate_json(await self._listing.changes(principal, form_id, after, limit))

    async def changes_as_json(self, principal: Principal, form_id: str, after: str | None, limit: int) -> bytes:
        return await self._listing.changes(principal, form_id, after, limit)

    async def import_rows(self, principal: Principal, form_id: str, rows: list[ImportRow]) -> ImportOutcome:
        form = await self._forms.get(principal.tenant_id, form_id=form_id)
        async with self._database.write(principal.tenant_id) as unit:
            return await import_rows(unit, principal, form, rows)

    async def export_chunk(
        self,
        principal: Principal,
        form_id: str,
        cursor: str | None,
        wanted: ExportResponses | None = None,
        rows: RowFormat = "csv",
    ) -> ExportChunk:
        return await self._exporting.chunk(principal, form_id, cursor, wanted or ExportResponses(), rows)

    async def export_state(
        self, principal: Principal, form_id: str, wanted: ExportResponses, *, count: bool = False
    ) -> ExportState:
        return await self._exporting.state(principal, form_id, wanted, count=count)

    async def changed_rows(
        self, principal: Principal, form_id: str, after: int, wanted: ExportResponses, limit: int
    ) -> ChangedRows:
        return await self._exporting.changed_rows(principal, form_id, after, wanted, limit)

    async def changed_months(self, principal: Principal, form_id: str, after: int) -> ChangedMonths:
        return await self._exporting.changed_months(principal, form_id, after)

    async def close(self) -> None:
        """Store what was taken."""
        await self._submitting.drain()
        await self._screening.close()
