"""What was recorded."""

from db.models.events import Event
from db.session import Database
from tests.eventing.harness import rows


async def types_of(database: Database, prefix: str) -> list[str]:
    """The types of the events that begin with `prefix`, oldest first."""
    events = sorted(await rows(database, Event), key=lambda event: event.id)
    return [event.type for event in events if event.type.startswith(prefix)]
