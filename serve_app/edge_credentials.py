"""Credentials read in the edge's own process: a call to another would cost more than everything else about them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

from db.errors import DatabaseUnavailable
from deployments.identity.contracts import TenantProfile
from deployments.identity.credentials import Credentials
from deployments.kit.errors import Unavailable
from deployments.kit.principal import Principal
from deployments.kit.vault import Vault
from serve_app.runtime import open_database
from serve_app.settings import Settings

if TYPE_CHECKING:
    from serve_app.tracing.tracer import Tracer

_CONNECTIONS: Final = 4


class EdgeCredentials:
    """The edge's own view of credentials and tenants; every question has a deadline. Raises Unavailable when the
    database does not answer in time."""

    def __init__(self, settings: Settings, deadline_s: float, tracer: Tracer | None = None) -> None:
        self._database = open_database(settings.database().model_copy(update={"pool_size": _CONNECTIONS}), tracer)
        self._credentials = Credentials(self._database, settings.identity(), Vault(settings.secret_keys()))
        self._deadline_s = deadline_s

    async def authenticate(self, credential: str) -> Principal:
        """See CredentialsApi."""
        async with self._asking():
            return await self._credentials.authenticate(credential)

    async def find_tenant(self, tenant_id: str) -> TenantProfile | None:
        """See CredentialsApi."""
        async with self._asking():
            return await self._credentials.find_tenant(tenant_id)

    async def find_tenant_by_host(self, host: str) -> TenantProfile | None:
        """See CredentialsApi."""
        async with self._asking():
            return await self._credentials.find_tenant_by_host(host)

    async def stop(self) -> None:
        """Write what waits and close the connections."""
        await self._credentials.close()
        await self._database.close()

    @asynccontextmanager
    async def _asking(self) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(self._deadline_s):
                yield
        except (DatabaseUnavailable, TimeoutError) as error:
            raise Unavailable("the database is not available at the moment", retry_after=1.0) from error
