"""Limits on letters (U1): nobody's mailbox is flooded, and nobody asks for letters to thousands."""

from datetime import timedelta
from typing import Final

from db.models.identity import PLATFORM_TENANT
from db.repositories.login_attempts import AttemptKey, LoginAttemptsDirectory
from db.session import Database
from db.types import utc_now
from deployments.identity.errors import TooManyLetters
from deployments.identity.tokens import fingerprint
from deployments.kit.addresses import network_of

PER_ACCOUNT: Final = 5
PER_ADDRESS: Final = 20
PER_INVITING_TENANT: Final = 200
WINDOW: Final = timedelta(hours=1)

_PRUNED: Final = 20


class LetterLimits:
    """Counts letters before they are ordered, for accounts that do not exist like for others."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def allows(self, tenant_id: str, email: str, address: str) -> bool:
        """Whether the account may get one letter more, asked for from `address`, of which it is then one.

        Raises TooManyLetters when too many were asked for from the address; those that were not sent count, too.
        """
        asking = AttemptKey(PLATFORM_TENANT, f"letters:address:{network_of(address)}")
        limits = {_account(tenant_id, email): PER_ACCOUNT, asking: PER_ADDRESS}
        refused = await self._count(limits, charged=asking)
        if asking in refused:
            raise TooManyLetters(retry_after=refused[asking])
        return not refused

    async def require(self, tenant_id: str, email: str, user_id: str) -> None:
        """Raise TooManyLetters when the e-mail has had its share, or whoever asks, whatever e-mails they name."""
        keys = (_account(tenant_id, email), _account(tenant_id, user_id))
        refused = await self._count(dict.fromkeys(keys, PER_ACCOUNT))
        if refused:
            raise TooManyLetters(retry_after=max(refused.values()))

    async def require_invitation(self, tenant_id: str, email: str) -> None:
        """Raise TooManyLetters when the e-mail was invited too often, or the tenant invited too many."""
        inviting = AttemptKey(tenant_id, "letters:invitations")
        refused = await self._count({_account(tenant_id, email): PER_ACCOUNT, inviting: PER_INVITING_TENANT})
        if refused:
            raise TooManyLetters(retry_after=max(refused.values()))

    async def _count(
        self, limits: dict[AttemptKey, int], *, charged: AttemptKey | None = None
    ) -> dict[AttemptKey, float]:
        """Count one letter under each key; those that are over their limit, with the seconds until it ends.

        When there are such, none counts: except under `charged`, unless that is one of them.
        """
        now = utc_now()
        async with self._database.unscoped_write() as unit:
            directory = LoginAttemptsDirectory(unit.session)
            await directory.prune_in_any_tenant(now, _PRUNED)
            # In one order, so that calls that share keys cannot wait for each other.
            counters = {key: await directory.start_in_any_tenant(key, now, now + WINDOW) for key in sorted(limits)}
            refused = {
                key: (counter.expires_at - now).total_seconds()
                for key, counter in counters.items()
                if counter.started > limits[key]
            }
            if refused:
                await directory.release_in_any_tenant(sorted(k for k in limits if k != charged or k in refused))
        return refused


def _account(tenant_id: str, email: str) -> AttemptKey:
    return AttemptKey(tenant_id, f"letters:account:{fingerprint(email)}")
