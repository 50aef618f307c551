"""Reactions of tenancy: the owners of a tenant are told that it has reached a limit."""

from collections.abc import Sequence
from typing import Final

from db.repositories.users import UserRepository
from db.session import UnitOfWork
from deployments.kit.vault import Vault
from deployments.notifications.contracts import SEND_LETTER, Letter
from eventing.events.envelope import Event
from eventing.events.tenancy import QuotaExceeded
from eventing.jobs import JobSpec, enqueue_all
from eventing.subscription import Subscription

_ACTOR: Final = "system:tenancy"
_WORDS: Final = {
    "max_forms": "forms",
    "max_responses_per_form": "responses in a form",
    "max_users": "people",
    "max_webhooks": "webhooks",
    "max_storage_bytes": "bytes of files",
}


class TellOwners:
    """Writes a letter to each active owner."""

    def __init__(self, vault: Vault) -> None:
        self._vault = vault

    async def on_quota_exceeded(self, unit: UnitOfWork, events: Sequence[Event]) -> None:
        """Order the letters. Once per event: the inbox row is in the same transaction."""
        owners = await UserRepository(unit.session, unit.tenant).active_with_role("owner")
        letters = []
        for event in events:
            fact = event.read(QuotaExceeded)
            values = {"tenant": unit.tenant, "limit": str(fact.limit), "what": _WORDS.get(fact.quota, fact.quota)}
            letters += [
                Letter(
                    template="quota_exceeded",
                    recipient=owner.email,
                    written_at=event.timestamp,
                    values={**values, "name": owner.name},
                )
                for owner in owners
            ]
        if letters:
            orders = [JobSpec(SEND_LETTER, letter.sealed(self._vault), _ACTOR, queue="high") for letter in letters]
            await enqueue_all(unit, orders)

    def subscriptions(self) -> tuple[Subscription, ...]:
        """What this context listens to."""
        return (Subscription("tenancy", (QuotaExceeded.type,), self.on_quota_exceeded),)
