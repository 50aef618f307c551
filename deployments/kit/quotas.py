"""Quotas of a tenant: refused exactly at the limit, told of once a day, and once a month when four fifths are used."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import ClassVar, Final

import structlog

from db.errors import DatabaseError
from db.repositories.quotas import QuotaRepository
from db.session import Database, UnitOfWork
from db.types import utc_now
from deployments.kit.errors import Forbidden
from eventing.events.envelope import Origin
from eventing.events.tenancy import QuotaApproached, QuotaExceeded
from eventing.outbox import record

_ACTOR: Final = "system:quotas"
_KEPT: Final = 10_000

_log = structlog.get_logger(__name__)


class QuotaReached(Forbidden):
    """The tenant holds as much of something as it may. `quota` is the tenant's setting that says so."""

    code, title = "quota.reached", "The tenant holds as much as it may"
    quota: ClassVar[str] = ""


class StorageQuotaReached(QuotaReached):
    code, title, quota = "quota.storage", "The tenant's files take as much room as they may", "max_storage_bytes"


async def require_room(
    unit: UnitOfWork, refusal: type[QuotaReached], used: Callable[[], Awaitable[int]], more: int = 1
) -> None:
    """Raise `refusal` unless `more` fits beside what `used` counts. What it found stays true until the commit."""
    limit = await QuotaRepository(unit.session, unit.tenant).limit(refusal.quota)
    if limit is None:
        return
    total = await used() + more
    if total > limit:
        raise refusal(f"{refusal.title}: the limit is {limit}")
    await note_use(unit, refusal.quota, total, limit)


def comes_close(used: int, limit: int) -> bool:
    """Whether four fifths of a limit are used."""
    return limit > 0 and used * 5 >= limit * 4


async def note_use(unit: UnitOfWork, quota: str, used: int, limit: int, of: str = "") -> None:
    """Tell of a use that comes close to its limit, once a month (UTC) for each quota, and each `of` where it has
    several."""
    if not comes_close(used, limit):
        return
    if await QuotaRepository(unit.session, unit.tenant).note(approach(quota, of), this_month()):
        record(unit, QuotaApproached(quota=quota, used=used, limit=limit), actor=_ACTOR, origin=Origin())


def approach(quota: str, of: str = "") -> str:
    """How it is noted that a quota comes close to its limit."""
    return f"{quota}:80:{of}" if of else f"{quota}:80"


def this_month() -> str:
    """The period of such a note."""
    return utc_now().date().isoformat()[:7]


class QuotaNotices:
    """Tells of quotas that were reached: one fact for each quota of a tenant and day (UTC), whoever finds out."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._told: set[tuple[str, str, str]] = set()

    @asynccontextmanager
    async def telling(self, tenant_id: str) -> AsyncIterator[None]:
        """Around the transaction of a change: when it is refused for a quota, tell of that."""
        try:
            yield
        except QuotaReached as refusal:
            await self.tell(tenant_id, refusal.quota)
            raise

    async def tell(self, tenant_id: str, quota: str) -> None:
        """The quota was reached. Never raises: the refusal is what the caller has to hear of."""
        notice = (tenant_id, quota, utc_now().date().isoformat())
        if notice in self._told:
            return
        if len(self._told) >= _KEPT:
            self._told.clear()
        self._told.add(notice)
        try:
            async with self._database.write(tenant_id) as unit:
                await _tell(unit, quota, notice[2])
        except DatabaseError as error:
            self._told.discard(notice)
            _log.warning("a quota that was reached could not be told of", quota=quota, error=str(error))


async def _tell(unit: UnitOfWork, quota: str, day: str) -> None:
    quotas = QuotaRepository(unit.session, unit.tenant)
    limit = await quotas.limit(quota)
    if limit is not None and await quotas.note(quota, day):
        record(unit, QuotaExceeded(quota=quota, limit=limit), actor=_ACTOR, origin=Origin())
