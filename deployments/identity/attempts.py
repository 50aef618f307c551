"""Limits on attempts to get in (U6): per account and per address, shared by all replicas."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from db.models.identity import PLATFORM_TENANT
from db.repositories.login_attempts import AttemptKey, LoginAttemptsDirectory
from db.session import Database
from db.types import utc_now
from deployments.identity.errors import LoginLimited
from deployments.identity.tokens import fingerprint
from deployments.kit.addresses import network_of

LIMIT: Final = 10
"""Failures in a window after which nobody gets in any more, be the password right or wrong."""

WINDOW: Final = timedelta(minutes=15)

_UNDER_WAY_S: Final = 2.0
_PRUNED: Final = 20


@dataclass(frozen=True, slots=True)
class Attempt:
    """An attempt that was counted and has not ended yet."""

    account: AttemptKey
    address: AttemptKey

    @property
    def keys(self) -> list[AttemptKey]:
        # In one order, so that attempts that share both cannot wait for each other.
        return sorted((self.account, self.address))


class Attempts:
    """Counts each attempt before it is made, so that a thousand at once are no more than ten.

    Accounts that do not exist are counted like others. Windows that have ended are forgotten along the way.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def start(self, tenant_id: str, account: str, address: str) -> Attempt:
        """Count an attempt; it has to be ended by `fail`, `succeed` or `release`. Raises LoginLimited."""
        return await self.start_by_fingerprint(tenant_id, fingerprint(account), address)

    async def start_by_fingerprint(self, tenant_id: str, account: str, address: str) -> Attempt:
        """See `start`, for an account of which only the fingerprint is known."""
        attempt = Attempt(
            AttemptKey(tenant_id, f"account:{account}"),
            AttemptKey(PLATFORM_TENANT, f"address:{network_of(address)}"),
        )
        now = utc_now()
        async with self._database.unscoped_write() as unit:
            directory = LoginAttemptsDirectory(unit.session)
            await directory.prune_in_any_tenant(now, _PRUNED)
            counters = [await directory.start_in_any_tenant(key, now, now + WINDOW) for key in attempt.keys]
            refused = [counter for counter in counters if counter.started > LIMIT]
            if refused:
                await directory.release_in_any_tenant(attempt.keys)
        if refused:
            ends = [(counter.expires_at - now).total_seconds() for counter in refused if counter.failed >= LIMIT]
            raise LoginLimited(retry_after=max(ends, default=_UNDER_WAY_S))
        return attempt

    async def fail(self, attempt: Attempt) -> bool:
        """The attempt failed. Whether it was the last one that the account had."""
        async with self._database.unscoped_write() as unit:
            directory = LoginAttemptsDirectory(unit.session)
            failed = {key: await directory.fail_in_any_tenant(key) for key in attempt.keys}
        return failed[attempt.account] == LIMIT

    async def succeed(self, attempt: Attempt) -> None:
        """The attempt succeeded: its account begins anew, and the address is not charged."""
        async with self._database.unscoped_write() as unit:
            directory = LoginAttemptsDirectory(unit.session)
            for key in attempt.keys:
                if key == attempt.account:
                    await directory.forget_in_any_tenant(key)
                else:
                    await directory.release_in_any_tenant([key])

    async def forgive(self, tenant_id: str, account: str) -> None:
        """The account begins anew: its person proved who they are in another way."""
        async with self._database.unscoped_write() as unit:
            await LoginAttemptsDirectory(unit.session).forget_in_any_tenant(
                AttemptKey(tenant_id, f"account:{fingerprint(account)}")
            )

    async def release(self, attempt: Attempt) -> None:
        """The attempt was none after all: something else went wrong."""
        async with self._database.unscoped_write() as unit:
            await LoginAttemptsDirectory(unit.session).release_in_any_tenant(attempt.keys)
