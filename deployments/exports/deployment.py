"""The door of exports: opens the unit of work, calls the rules, returns contracts."""

from db.session import Database
from deployments.exports import service
from deployments.exports.contracts import (
    CreateExportLink,
    Export,
    ExportLink,
    OrderedExport,
    OrderExport,
)
from deployments.exports.settings import ExportsSettings
from deployments.kit.contract import Page
from deployments.kit.downloads import OpenedFile
from deployments.kit.links import Links
from deployments.kit.principal import Principal
from deployments.responses.contracts import ResponsesApi


class Exports:
    """Ordering exports and fetching them; satisfies `ExportsApi`."""

    def __init__(self, database: Database, responses: ResponsesApi, settings: ExportsSettings) -> None:
        self._database = database
        self._responses = responses
        self._settings = settings
        self._links = Links(settings.signing_key, "export", "exp")

    async def order(
        self, principal: Principal, form_id: str, command: OrderExport, idempotency_key: str | None
    ) -> OrderedExport:
        # What is wrong with the order is told now and not by a job that fails.
        await self._responses.export_state(principal, form_id, service.wanted_by(command))
        async with self._database.write(principal.tenant_id) as unit:
            return await service.order(unit, principal, form_id, command, idempotency_key, self._settings.life)

    async def list_exports(self, principal: Principal, form_id: str, cursor: str | None, limit: int) -> Page[Export]:
        async with self._database.read(principal.tenant_id) as unit:
            return await service.list_of_form(unit, principal, form_id, cursor, limit)

    async def get(self, principal: Principal, export_id: str) -> Export:
        async with self._database.read(principal.tenant_id) as unit:
            return await service.get(unit, principal, export_id)

    async def open(self, principal: Principal, export_id: str) -> OpenedFile:
        async with self._database.write(principal.tenant_id) as unit:
            return await service.FILES.opened(unit, principal, export_id)

    async def create_link(self, principal: Principal, export_id: str, command: CreateExportLink) -> ExportLink:
        async with self._database.write(principal.tenant_id) as unit:
            return await service.link(unit, principal, export_id, command, self._settings, self._links)

    async def open_link(self, principal: Principal, link: str) -> OpenedFile:
        async with self._database.write(principal.tenant_id) as unit:
            return await service.FILES.opened_by_link(unit, principal, link, self._links)

    async def delete(self, principal: Principal, export_id: str) -> None:
        async with self._database.write(principal.tenant_id) as unit:
            await service.delete(unit, principal, export_id)
