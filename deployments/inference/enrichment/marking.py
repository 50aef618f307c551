"""Events become work: a response that was submitted, changed or brought back is to be looked at, by one job a tenant.

The tenant's job belongs to a turn. Whoever marks work looks at the turn under its lock and begins a new one, with a
job, unless one is alive; the job that finds nothing more to do ends its turn under the same lock. So nothing waits
without a job, and a job whose turn is over does nothing.
"""

from collections import defaultdict
from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from db.repositories.enrichment import EnrichmentRepository
from db.session import UnitOfWork
from db.types import utc_now
from deployments.kit.features import is_enabled, settings_of
from eventing.events.envelope import Event
from eventing.jobs import LOWEST, JobSpec, enqueue
from eventing.subscription import Subscription

ENRICH: Final = "inference.enrich"
QUEUE: Final = "batch"
STRANDED: Final = timedelta(minutes=7)
"""A turn whose job gave no sign of life for so long has none: it says so with every batch, within its time limit."""

_ACTOR: Final = "system:inference"
_TYPES: Final = ("response.released", "response.restored", "response.submitted", "response.updated")


def tasks_of(unit: UnitOfWork) -> EnrichmentRepository:
    return EnrichmentRepository(unit.session, unit.tenant)


async def select_wanted(unit: UnitOfWork, events: Sequence[Event]) -> Sequence[Event]:
    """The events of forms whose settings name anything for models."""
    if not is_enabled(await settings_of(unit), "ai"):
        return []
    wanting = await tasks_of(unit).wanting(sorted({event.form_id for event in events if event.form_id}))
    return [event for event in events if event.form_id in wanting]


async def on_events(unit: UnitOfWork, events: Sequence[Event]) -> None:
    """Mark the responses. Again is no harm: what was said of a revision by a version of a model is kept once."""
    by_form: dict[str, set[str]] = defaultdict(set)
    for event in events:
        by_form[event.form_id or ""].add(event.entity_id)
    marked = 0
    for form_id in sorted(by_form):
        marked += await tasks_of(unit).mark(form_id, by_form[form_id])
    if marked:
        await wake(unit)


async def wake(unit: UnitOfWork) -> None:
    """See to it that a job does what is marked."""
    turn, now = await tasks_of(unit).turn(), utc_now()
    if turn.seen_at is None or turn.seen_at < now - STRANDED:
        await begin_turn(unit)


async def begin_turn(unit: UnitOfWork) -> None:
    """Order a job, and let no earlier one go on."""
    turn = await tasks_of(unit).turn()
    turn.turn += 1
    turn.seen_at = utc_now()
    await enqueue(unit, JobSpec(ENRICH, {"turn": turn.turn}, _ACTOR, queue=QUEUE, priority=LOWEST))


SUBSCRIPTIONS: Final = (Subscription("inference", _TYPES, on_events, select=select_wanted, replayable=True),)
