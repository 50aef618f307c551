"""Letters about accounts: ordered in the transaction of what they tell about, sent by notifications."""

from typing import Final

from db.repositories.tenants import TenantRepository
from db.session import UnitOfWork
from db.types import utc_now
from deployments.kit.vault import Vault
from deployments.notifications.contracts import SEND_LETTER, Letter
from eventing.jobs import JobSpec, enqueue

_LONGEST: Final = 2_000


class Letters:
    """Orders letters in the language of the unit's tenant. `public_url` is the origin that their links begin with."""

    def __init__(self, vault: Vault, public_url: str) -> None:
        self._vault = vault
        self._public_url = public_url.rstrip("/")

    def link(self, page: str, token: str) -> str:
        """The address of a page for a token, which stands in the fragment: no server and no log gets to see it."""
        return f"{self._public_url}/account/{page}#token={token}"

    async def order(self, unit: UnitOfWork, template: str, recipient: str, *, by: str, **values: str) -> None:
        """Order a letter, to be sent after the commit. `by` is who caused it."""
        tenant = await TenantRepository(unit.session, unit.tenant).get()
        locale = tenant.settings.get("locale") if tenant is not None else None
        letter = Letter(
            template=template,
            recipient=recipient,
            locale=locale or "en",
            written_at=utc_now(),
            values={name: _plain(value) for name, value in values.items()},
        )
        await enqueue(unit, JobSpec(SEND_LETTER, letter.sealed(self._vault), created_by=by, queue="high"))


def _plain(text: str) -> str:
    # What people call themselves must not break lines or turn the direction of what follows.
    return "".join(character if character.isprintable() else " " for character in text)[:_LONGEST]
