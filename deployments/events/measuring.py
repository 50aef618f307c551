"""How the transport of events is: for readiness and metrics."""

from datetime import timedelta
from typing import Final

from db.repositories import component_state
from db.session import Database
from db.types import utc_now
from deployments.events.recovery_contracts import Component, ConsumerBacklog, EventMeasures

WORKERS: Final = "workers"
"""The name under which it is told that nobody looks at the parts."""

LAG: Final = "consumers"
"""The part whose figures are the messages that wait in the stream, by consumer."""

BACKUP: Final = "backup"
"""No part that somebody looks at: what the last backup left. Of its figures, `last_success` is when it was taken."""

DRILL: Final = "drill"
"""The same of the last drill: `findings` are how many it had, `last_success` is when one last had none."""

_STALE: Final = timedelta(seconds=60)


async def measure(database: Database) -> EventMeasures:
    """What was last seen of every part, and what waits. Raises DatabaseUnavailable."""
    backlog = await database.view(component_state.backlog)
    parts = await database.view(component_state.seen)
    now = utc_now()
    fresh = [part for part in parts if now - part.checked_at < _STALE and part.name not in (BACKUP, DRILL)]
    backup = next((part.figures for part in parts if part.name == BACKUP), {})
    drill = next((part.figures for part in parts if part.name == DRILL), {})
    lag = next((part.figures for part in fresh if part.name == LAG), {})
    names = sorted({*lag, *backlog.waiting, *backlog.dead_letters})
    oldest = backlog.oldest_unpublished_at
    components = [Component(name=part.name, healthy=part.healthy) for part in fresh]
    return EventMeasures(
        oldest_unpublished_s=0.0 if oldest is None else max(0.0, (now - oldest).total_seconds()),
        components=[*components, Component(name=WORKERS, healthy=bool(fresh))],
        consumers=[
            ConsumerBacklog(
                consumer=name,
                pending=int(lag.get(name, 0)),
                waiting=backlog.waiting.get(name, 0),
                dead_letters=backlog.dead_letters.get(name, 0),
            )
            for name in names
        ],
        last_backup=backup.get("last_success"),
        last_drill=drill.get("last_success"),
        drill_findings=drill.get("findings"),
    )
