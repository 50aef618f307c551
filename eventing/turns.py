"""Another turn at an event for one consumer: in place of a dead letter, or by a replay."""

from collections.abc import Sequence

from db.models.events import DeadLetter
from db.repositories.dead_letters import DeadLetterRepository
from db.repositories.event_log import RecordedEvents
from db.repositories.inbox import InboxRepository
from db.session import UnitOfWork
from db.types import utc_now
from eventing.events.envelope import Event
from eventing.outbox import EVENTS_TOPIC
from eventing.relay import RELAY


async def redrive(unit: UnitOfWork, letter: DeadLetter) -> bool:
    """Put the event of a dead letter before its consumer again, in place of the letter; False when the event is not in
    the log, and the letter stays.

    It takes its turn by its id among the events of its entity that wait, so before those that came later. The turn is
    taken once, whatever else delivers the event. What the relay could not publish goes back to the outbox.
    """
    events = RecordedEvents(unit.session, unit.tenant)
    event = await events.find(letter.event_id)
    if event is None:
        return False
    if letter.consumer == RELAY:
        await events.publish_again(event.id)
        unit.announce(EVENTS_TOPIC)
    else:
        await _wait(unit, letter.consumer, event.id, event.entity_id, letter.id, f"was redriven after: {letter.reason}")
    await DeadLetterRepository(unit.session, unit.tenant).remove(letter.id)
    return True


async def grant(unit: UnitOfWork, consumer: str, events: Sequence[Event], replay_id: str) -> int:
    """Give the consumer a turn at each of these events, once for each replay; how many do not wait for it already.

    An event that the consumer has not had yet has its first turn by this: whichever way it comes, it has one effect.
    """
    granted = 0
    for event in events:
        granted += await _wait(unit, consumer, event.id, event.entity_id, replay_id, "is replayed")
    return granted


async def _wait(unit: UnitOfWork, consumer: str, event_id: str, entity_id: str, generation: str, why: str) -> bool:
    inbox = InboxRepository(unit.session, unit.tenant, consumer)
    return await inbox.park(
        event_id, entity_id, attempts=0, error=why, next_attempt_at=utc_now(), generation=generation
    )
