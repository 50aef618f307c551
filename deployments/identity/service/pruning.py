"""Forgetting what has expired, once a day."""

from collections.abc import Awaitable, Callable
from datetime import date, timedelta
from typing import Final

from db.models.identity import PLATFORM_TENANT
from db.repositories.expired_credentials import ExpiredCredentials
from db.session import Database, UnitOfWork
from db.types import utc_now
from eventing.jobs import JobSpec, enqueue

PRUNE: Final = "identity.prune"
KEPT: Final = timedelta(days=30)
"""How long an expired credential is kept, so that those who come with it can still be recognised in the logs."""

_BATCH: Final = 500
_DAY_S: Final = 86_400.0

Remove = Callable[[ExpiredCredentials, int], Awaitable[int]]


async def order(database: Database, *, tomorrow: bool = False) -> None:
    """Order today's clean-up, or tomorrow's. However many processes ask, there is one for each day."""
    day = utc_now().date()
    async with database.write(PLATFORM_TENANT) as unit:
        await _order(unit, day + timedelta(days=1) if tomorrow else day, _DAY_S if tomorrow else 0.0)


async def prune(database: Database, is_over: Callable[[], bool]) -> dict[str, int]:
    """Remove what expired long ago, a bounded batch in each transaction, until nothing is left or it `is_over`;
    how much of each there was."""
    now = utc_now()
    steps: dict[str, Remove] = {
        "link_tokens": lambda expired, limit: expired.remove_link_tokens_in_any_tenant(now - KEPT, limit),
        "invitations": lambda expired, limit: expired.remove_invitations_in_any_tenant(now - KEPT, limit),
        "refresh_tokens": lambda expired, limit: expired.remove_refresh_tokens_in_any_tenant(now - KEPT, limit),
        "login_attempts": lambda expired, limit: expired.remove_login_attempts_in_any_tenant(now, limit),
    }
    removed = dict.fromkeys(steps, 0)
    for name, remove in steps.items():
        batch = _BATCH
        while batch == _BATCH and not is_over():
            async with database.unscoped_write() as unit:
                batch = await remove(ExpiredCredentials(unit.session), _BATCH)
            removed[name] += batch
    return removed


async def _order(unit: UnitOfWork, day: date, after_s: float) -> None:
    spec = JobSpec(PRUNE, {}, "system:identity", unique_key=f"{PRUNE}:{day.isoformat()}", run_after_s=after_s)
    await enqueue(unit, spec)
