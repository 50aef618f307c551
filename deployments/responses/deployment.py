"""The door of responses: opens the unit of work, calls the rules, returns contracts."""

from db.models import responses as tables
from db.repositories.responses import ResponseRepository
from db.session import Database, UnitOfWork
from db.types import utc_now
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
from deployments.responses.errors import ResponseNotFound
from deployments.responses.export import export_chunk
from deployments.responses.importing import import_rows
from deployments.responses.published import PublishedForms
from deployments.responses.query.forms import SearchedForms
from deployments.responses.query.listing import Listing, searching
from deployments.responses.submitting import Submitting
from eventing.events.responses import ResponseDeleted
from eventing.outbox import record


class Responses:
    """Taking, reading and exporting responses; satisfies `ResponsesApi`."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._forms = PublishedForms(database)
        self._submitting = Submitting(database, self._forms)
        self._searched = SearchedForms()
        self._listing = Listing(database, self._searched, _to_response)

    async def submit(self, principal: Principal, command: SubmitResponse) -> SubmittedResponse:
        return await self._submitting.submit(principal, command)

    async def get(self, principal: Principal, response_id: str) -> Response:
        async with self._database.read(principal.tenant_id) as unit:
            return _to_response(await _find(unit, principal, "responses:read", response_id))

    async def list_responses(self, principal: Principal, query: ListResponses) -> Page[Response]:
        return await self._listing.page(principal, query)

    async def list_changes(self, principal: Principal, form_id: str, after: str | None, limit: int) -> Changes:
        return await self._listing.changes(principal, form_id, after, limit)

    async def delete(self, principal: Principal, response_id: str) -> None:
        async with self._database.write(principal.tenant_id) as unit:
            row = await _find(unit, principal, "responses:write", response_id, for_update=True)
            await ResponseRepository(unit.session, unit.tenant).delete(row, utc_now())
            fact = ResponseDeleted(response_id=row.id, form_id=row.form_id)
            record(unit, fact, actor=principal.subject, origin=principal.origin)

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
                return await export_chunk(unit, self._searched, form_id, cursor, wanted or ExportResponses())

    async def close(self) -> None:
        """Store what was taken."""
        await self._submitting.drain()


async def _find(
    unit: UnitOfWork, principal: Principal, scope: str, response_id: str, *, for_update: bool = False
) -> tables.Response:
    row = await ResponseRepository(unit.session, unit.tenant).find(response_id, for_update=for_update)
    # A grant is for a form: whether the response is one of it shows only now.
    if row is None or not principal.may(scope, row.form_id):
        raise ResponseNotFound
    return row


def _to_response(row: tables.Response) -> Response:
    return Response(
        id=row.id,
        form_id=row.form_id,
        version=row.version,
        status=row.status,  # type: ignore[arg-type]  # checked by the contract
        answers=row.answers,
        meta=row.meta,
        submitted_by=row.submitted_by,
        submitted_at=row.submitted_at,
    )
