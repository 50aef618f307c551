"""How the parts of the platform are, as one worker last saw them, and what waits; over all tenants."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import Connection, func, select
from sqlmodel import col

from db.models.events import ComponentState, DeadLetter, FailedEvent
from db.repositories.outbox import oldest_unpublished_at
from db.repositories.upsert import upsert_on


@dataclass(frozen=True, slots=True)
class Seen:
    """A part of the platform. `figures` are what was counted of it."""

    name: str
    healthy: bool
    detail: str
    figures: Mapping[str, float]
    checked_at: datetime


@dataclass(frozen=True, slots=True)
class Backlog:
    """What is to be done, by consumer where it says so."""

    oldest_unpublished_at: datetime | None
    waiting: Mapping[str, int]
    dead_letters: Mapping[str, int]


def note(connection: Connection, parts: list[Seen]) -> None:
    """Write down how these parts are."""
    for part in parts:
        values = {
            "healthy": part.healthy,
            "detail": part.detail,
            "figures": dict(part.figures),
            "checked_at": part.checked_at,
        }
        statement = upsert_on(connection, ComponentState).values(name=part.name, **values)
        connection.execute(statement.on_conflict_do_update(index_elements=["name"], set_=values))


def note_over(connection: Connection, part: Seen) -> None:
    """Write down how a part is; figures that it has none of now stay as they were."""
    earlier = next((each.figures for each in seen(connection) if each.name == part.name), {})
    note(connection, [replace(part, figures={**earlier, **part.figures})])


def seen(connection: Connection) -> list[Seen]:
    """Every part that was ever looked at."""
    statement = select(
        col(ComponentState.name),
        col(ComponentState.healthy),
        col(ComponentState.detail),
        col(ComponentState.figures),
        col(ComponentState.checked_at),
    ).order_by(col(ComponentState.name))
    return [Seen(*row) for row in connection.execute(statement)]


def backlog(connection: Connection) -> Backlog:
    """Events that are not published, and those that wait for a consumer or were given up by it."""

    def by_consumer(kind: type[FailedEvent] | type[DeadLetter]) -> dict[str, int]:
        rows = connection.execute(select(col(kind.consumer), func.count()).group_by(col(kind.consumer)))
        return {str(name): int(number) for name, number in rows}

    return Backlog(oldest_unpublished_at(connection), by_consumer(FailedEvent), by_consumer(DeadLetter))
