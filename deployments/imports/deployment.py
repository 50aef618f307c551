"""The door of imports: opens the unit of work, calls the rules, returns contracts."""

import asyncio

from db.session import Database
from deployments.imports import service
from deployments.imports.contracts import DefinitionFile, StartedImport, StartImport, WriteDefinition
from deployments.imports.formats import write_definition
from deployments.kit.errors import DomainError
from deployments.kit.objects import ObjectStore
from deployments.kit.principal import Principal
from deployments.kit.quotas import QuotaNotices


class Imports:
    """Bringing in forms and responses from other systems; satisfies `ImportsApi`."""

    def __init__(self, database: Database, objects: ObjectStore) -> None:
        self._database = database
        self._objects = objects
        self._quotas = QuotaNotices(database)

    async def start(self, principal: Principal, command: StartImport) -> StartedImport:
        """Take over the uploaded file: it is removed when the import needs it no more, or does not need it at all."""
        tenant_id = principal.tenant_id
        try:
            async with self._quotas.telling(tenant_id), self._database.write(tenant_id) as unit:
                started = await service.start(unit, principal, command)
        except DomainError:
            await self._discard(principal, command.file)
            raise
        if started.replayed:
            await self._discard(principal, command.file)
        return started

    async def write_definition(self, principal: Principal, command: WriteDefinition) -> DefinitionFile:
        """The definition as a file."""
        principal.require("forms:read", command.form_id)
        return await asyncio.to_thread(write_definition, command)

    async def _discard(self, principal: Principal, file: str) -> None:
        if file.startswith(f"{principal.tenant_id}/"):
            await self._objects.delete(file)
