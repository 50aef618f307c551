"""A duty: a loop in every process, of which the one that holds the lease works."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

import structlog

from db.session import Database
from eventing.leadership import LEASE_S, Leadership
from eventing.pace import Pace

PAGE: Final = 100
_POLL_S: Final = 1.0
_STOP_S: Final = 5.0

_log = structlog.get_logger(__name__)


class Duty(ABC):
    """Does its rounds until it is stopped. Several are harmless; the lease keeps one at work."""

    def __init__(self, database: Database, name: str, *, poll_s: float = _POLL_S, lease_s: float = LEASE_S) -> None:
        self._database = database
        self._name = name
        self._leadership = Leadership(database, name, lease_s=lease_s)
        self._pace = Pace(poll_s)
        self._finished = asyncio.Event()
        self._finished.set()

    @abstractmethod
    async def round(self) -> bool:
        """Do some of what is due; whether more may be, so that the next round comes at once."""

    async def run(self) -> None:
        """Work until `stop`. Never raises because of the database: it keeps trying, with back-off."""
        self._finished.clear()
        try:
            while not self._pace.is_stopped:
                try:
                    progress = await self._leadership.acquire() and await self.round()
                except Exception as error:  # noqa: BLE001 - a loop that ends is worse than one that tries again
                    _log.warning("duty waits", duty=self._name, error=str(error) or type(error).__name__)
                    await self._pace.back_off()
                    continue
                self._pace.succeed()
                if not progress:
                    await self._pace.rest()
        finally:
            self._finished.set()

    async def stop(self, timeout_s: float = _STOP_S) -> None:
        """End `run` after its current piece and give the lease back, so that another leads at once."""
        self._pace.stop()
        try:
            async with asyncio.timeout(timeout_s):
                await self._finished.wait()
            if self._leadership.is_held:
                await self._leadership.release()
        except Exception as error:  # noqa: BLE001 - the lease runs out by itself
            _log.warning("lease of a duty not released", duty=self._name, error=str(error) or type(error).__name__)

    async def _each_form(
        self,
        behind: Callable[[tuple[str, str]], Awaitable[Sequence[tuple[str, str]]]],
        advance: Callable[[str, str], Awaitable[bool]],
    ) -> bool:
        """One piece of each form that is behind, by pages of `PAGE`, while we lead; whether there was any."""
        after, progress = ("", ""), False
        while not self._pace.is_stopped:
            forms = await behind(after)
            for tenant_id, form_id in forms:
                progress = await advance(tenant_id, form_id) or progress
                if self._pace.is_stopped or not await self._leadership.acquire():
                    return progress
            if len(forms) < PAGE:
                return progress
            after = forms[-1]
        return progress
