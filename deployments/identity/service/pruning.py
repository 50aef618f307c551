"""Forgetting what has expired, once a day."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Final

from db.repositories.expired_credentials import ExpiredCredentials
from db.session import Database
from db.types import utc_now
from deployments.jobs.contracts import DAILY, Schedulable
from eventing.jobs import LOWEST

PRUNE: Final = "identity.prune"
SCHEDULABLE: Final = Schedulable(
    PRUNE, "Forget expired credentials.", "platform:admin", priority=LOWEST, standing=DAILY
)
KEPT: Final = timedelta(days=30)
"""How long an expired credential is kept, so that those who come with it can still be recognised in the logs."""

_BATCH: Final = 500

Remove = Callable[[ExpiredCredentials, int], Awaitable[int]]


async def prune(database: Database, is_over: Callable[[], bool]) -> dict[str, int]:
    """Remove what expired long ago, a bounded batch in each transaction, until nothing is left or it `is_over`;
    how much of each there was."""
    now = utc_now()
    steps: dict[str, Remove] = {
        "link_tokens": lambda expired, limit: expired.remove_link_tokens_in_any_tenant(now - KEPT, limit),
        "invitations": lambda expired, limit: expired.remove_invitations_in_any_tenant(now - KEPT, limit),
        "refresh_tokens": lambda expired, limit: expired.remove_refresh_tokens_in_any_tenant(now - KEPT, limit),
        "sso_sessions": lambda expired, limit: expired.remove_sso_sessions_in_any_tenant(now, limit),
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
