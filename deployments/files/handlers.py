"""Reactions of files: they go with their response, and with their form."""

from collections.abc import Sequence
from typing import Final

from db.repositories.files import FileRepository
from db.session import UnitOfWork
from deployments.files.removal import order_removal
from eventing.events.envelope import Event
from eventing.subscription import Subscription

RESPONSE_PURGED: Final = "response.purged"
FORM_PURGED: Final = "form.purged"


async def on_purged(unit: UnitOfWork, events: Sequence[Event]) -> None:
    """Order the removal of the files of what is gone for good. Once per event."""
    files = FileRepository(unit.session, unit.tenant)
    gone = [
        *await files.of_responses(event.entity_id for event in events if event.type == RESPONSE_PURGED),
        *await files.of_forms(event.entity_id for event in events if event.type == FORM_PURGED),
    ]
    if gone:
        await order_removal(unit, sorted(set(gone)))


SUBSCRIPTIONS: Final = (Subscription("files", (RESPONSE_PURGED, FORM_PURGED), on_purged, replayable=True),)
