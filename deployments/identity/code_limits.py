"""Limits on codes that are sent: they cost money and annoy whoever did not ask for them (U3)."""

from datetime import datetime, timedelta
from typing import Final

from db.models.identity import PLATFORM_TENANT
from db.repositories.login_attempts import AttemptKey, LoginAttemptsDirectory
from db.session import Database
from db.types import utc_now
from deployments.identity.errors import CodeLimited
from deployments.identity.tokens import fingerprint
from deployments.kit.addresses import network_of

PAUSE: Final = timedelta(seconds=30)
WINDOW: Final = timedelta(hours=1)
PER_ACCOUNT: Final = 5
"""Codes that an account gets in a window; so does a telephone number, whoever asks."""
PER_ADDRESS: Final = 30
"""Codes that may be asked for from an address in a window."""

_PRUNED: Final = 20


class CodeLimits:
    """Counts codes before they are sent, in the same rows as attempts to log in."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def take(self, tenant_id: str, account: str, address: str, *, phone: str | None = None) -> None:
        """Count a code for an account, given by a fingerprint. Raises CodeLimited; then nothing was counted.

        Accounts that do not exist are counted like others.
        """
        now = utc_now()
        bounds = {
            AttemptKey(tenant_id, f"code-pause:{account}"): (1, now + PAUSE),
            AttemptKey(tenant_id, f"code:{account}"): (PER_ACCOUNT, now + WINDOW),
            AttemptKey(PLATFORM_TENANT, f"code-address:{network_of(address)}"): (PER_ADDRESS, now + WINDOW),
        }
        if phone is not None:
            key = AttemptKey(PLATFORM_TENANT, f"code-phone:{fingerprint(phone)}")
            bounds[key] = (PER_ACCOUNT, now + WINDOW)
        ends: list[datetime] = []
        async with self._database.unscoped_write() as unit:
            directory = LoginAttemptsDirectory(unit.session)
            await directory.prune_in_any_tenant(now, _PRUNED)
            # In one order, so that requests that share several cannot wait for each other.
            for key, (limit, end) in sorted(bounds.items()):
                counter = await directory.start_in_any_tenant(key, now, end)
                if counter.started > limit:
                    ends.append(counter.expires_at)
            if ends:
                await directory.release_in_any_tenant(sorted(bounds))
        if ends:
            raise CodeLimited(retry_after=(max(ends) - now).total_seconds())
