"""The processes for statements: few, begun when they are needed, each for one tenant as long as it lives."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from deployments.analytics.warehouse.errors import TooManyStatements, WarehouseBusy
from deployments.analytics.warehouse.process import Process
from deployments.analytics.warehouse.settings import WarehouseSettings

_WAIT_S: Final = 3.0


class Pool:
    """At most so many processes; one that nobody uses makes room for another tenant's."""

    def __init__(self, settings: WarehouseSettings) -> None:
        self._settings = settings
        self._idle: list[Process] = []
        self._places = asyncio.Semaphore(settings.processes)
        self._used: Counter[str] = Counter()
        self._running = 0

    @asynccontextmanager
    async def borrowed(self, tenant_id: str) -> AsyncIterator[Process]:
        """A process of the tenant's own. Raises TooManyStatements, WarehouseBusy."""
        if self._used[tenant_id] >= self._settings.per_tenant:
            raise TooManyStatements(retry_after=1.0)
        self._used[tenant_id] += 1
        try:
            try:
                async with asyncio.timeout(_WAIT_S):
                    await self._places.acquire()
            except TimeoutError:
                raise WarehouseBusy(retry_after=2.0) from None
            self._running += 1
            try:
                process = await self._process(tenant_id)
                try:
                    yield process
                finally:
                    if process.is_running:
                        self._idle.append(process)
            finally:
                self._running -= 1
                self._places.release()
        finally:
            self._used[tenant_id] -= 1
            if not self._used[tenant_id]:
                del self._used[tenant_id]

    async def _process(self, tenant_id: str) -> Process:
        self._idle = [process for process in self._idle if process.is_running]
        for process in reversed(self._idle):
            if process.tenant_id == tenant_id:
                self._idle.remove(process)
                return process
        # Those in use hold a place each, so the idle ones are too many only together with this one.
        while len(self._idle) + self._running > self._settings.processes:
            await self._idle.pop(0).stop()
        return await Process.start(tenant_id, self._settings.memory, self._settings.threads)

    async def rest(self) -> None:
        """End the processes that nobody uses."""
        while self._idle:
            await self._idle.pop().stop()
