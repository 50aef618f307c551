"""Exports as the door of responses has them: permissions, features, deadlines."""

from typing import Final

from db.errors import QueryTimeout
from db.repositories.response_filters import Search
from db.repositories.response_query import ResponseQueryRepository
from db.session import Database
from deployments.kit.features import require_feature, settings_of
from deployments.kit.personal import personal_fields
from deployments.kit.principal import Principal
from deployments.responses.contracts import (
    ChangedMonths,
    ChangedRows,
    ExportChunk,
    ExportResponses,
    ExportState,
    RowFormat,
)
from deployments.responses.errors import FormNotFound
from deployments.responses.exporting.changed import changed_rows
from deployments.responses.exporting.chunks import export_chunk, tag_of
from deployments.responses.finding import READ
from deployments.responses.masking import PersonalFields
from deployments.responses.query.forms import SearchedForm, SearchedForms
from deployments.responses.query.listing import read_export, searching

_LIMIT_S: Final = 10.0
_PATIENT_S: Final = 60.0


class Exporting:
    """Reads one database for exports."""

    def __init__(
        self, database: Database, forms: SearchedForms, personal: PersonalFields, public_url: str = ""
    ) -> None:
        self._database = database
        self._public_url = public_url
        self._forms = forms
        self._personal = personal

    async def chunk(
        self, principal: Principal, form_id: str, cursor: str | None, wanted: ExportResponses, rows: RowFormat
    ) -> ExportChunk:
        with searching():
            # Nobody waits for a job, and a filter that few responses meet may have to look at all.
            limit_s = _PATIENT_S if principal.kind == "system" else _LIMIT_S
            async with self._database.snapshot(principal.tenant_id, limit_s=limit_s) as unit:
                principal.require(READ, form_id)
                if cursor is None and principal.kind != "system":  # an export that has begun is not broken off
                    require_feature(await settings_of(unit), "exports")
                hidden = await self._personal.hidden(unit, principal, form_id)
                return await export_chunk(unit, self._forms, form_id, cursor, wanted, rows, hidden, self._public_url)

    async def state(self, principal: Principal, form_id: str, wanted: ExportResponses, *, count: bool) -> ExportState:
        with searching():
            async with self._database.snapshot(principal.tenant_id) as unit:
                principal.require(READ, form_id)
                if principal.kind != "system":
                    require_feature(await settings_of(unit), "exports")
                form = await self._forms.get(unit, form_id)
                if form.version == 0:
                    raise FormNotFound
                hidden = await self._personal.hidden(unit, principal, form_id)
                search, _ = read_export(form, wanted, hidden)
                change = await ResponseQueryRepository(unit.connection, unit.tenant, form_id).last_change()
            rows = await self._count(principal, form, search) if count else None
        return ExportState(tag=tag_of(change, form.version, hidden, form_id, wanted), rows=rows)

    async def _count(self, principal: Principal, form: SearchedForm, search: Search) -> int | None:
        """How many there are, None when that takes too long to find out."""
        try:
            async with self._database.snapshot(principal.tenant_id) as unit:
                repository = ResponseQueryRepository(unit.connection, unit.tenant, form.form_id, form.rules)
                return await repository.count(search)
        except QueryTimeout:
            return None

    async def changed_rows(
        self, principal: Principal, form_id: str, after: int, wanted: ExportResponses, limit: int
    ) -> ChangedRows:
        with searching():
            async with self._database.snapshot(principal.tenant_id) as unit:
                principal.require(READ, form_id)
                form = await self._forms.get(unit, form_id)
                if form.version == 0:
                    raise FormNotFound
                hidden = await self._personal.hidden(unit, principal, form_id)
                return await changed_rows(unit, form, after, wanted, limit, hidden)

    async def changed_months(self, principal: Principal, form_id: str, after: int) -> ChangedMonths:
        async with self._database.snapshot(principal.tenant_id, limit_s=_PATIENT_S) as unit:
            principal.require(READ, form_id)
            form = await self._forms.get(unit, form_id)
            repository = ResponseQueryRepository(unit.connection, unit.tenant, form_id)
            change = await repository.last_change()
            months = await repository.changed_months(after)
        return ChangedMonths(
            change=change,
            version=form.version,
            months=sorted(months),
            personal=sorted(personal_fields(form.definitions)),
        )
