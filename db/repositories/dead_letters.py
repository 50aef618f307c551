"""Queries on events that a consumer gave up on, and on those that wait for it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, delete, func, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from db.models.events import DeadLetter, Event, FailedEvent


@dataclass(frozen=True, slots=True)
class Letters:
    """Which dead letters; what is None does not matter. `before` is exclusive."""

    consumer: str | None = None
    event_type: str | None = None
    since: datetime | None = None
    before: datetime | None = None
    ids: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Waiting:
    """An event that waits for its consumer. Type and time are None when it is no longer in the log."""

    consumer: str
    event_id: str
    entity_id: str
    attempts: int
    error: str
    next_attempt_at: datetime
    event_type: str | None
    occurred_at: datetime | None


class DeadLetterRepository:
    """The dead letters of one tenant."""

    def __init__(self, session: AsyncSession, tenant_id: str) -> None:
        self._session = session
        self._tenant_id = tenant_id
        self._mine = col(DeadLetter.tenant_id) == tenant_id

    async def find(self, letter_id: str, *, for_update: bool = False) -> DeadLetter | None:
        statement = select(DeadLetter).where(self._mine, col(DeadLetter.id) == letter_id)
        return await self._session.scalar(statement.with_for_update() if for_update else statement)

    async def page(self, letters: Letters, before_id: str | None, limit: int) -> Sequence[DeadLetter]:
        """Letters, newest first, older than `before_id`."""
        statement = select(DeadLetter).where(self._mine, *_chosen(letters))
        if before_id is not None:
            statement = statement.where(col(DeadLetter.id) < before_id)
        return (await self._session.scalars(statement.order_by(col(DeadLetter.id).desc()).limit(limit))).all()

    async def count(self, letters: Letters) -> int:
        statement = select(func.count()).select_from(DeadLetter).where(self._mine, *_chosen(letters))
        return await self._session.scalar(statement) or 0

    async def next(self, letters: Letters, after_id: str, limit: int) -> Sequence[DeadLetter]:
        """Letters by id after `after_id`, locked; those that somebody else has locked come too, after him."""
        statement = (
            select(DeadLetter)
            .where(self._mine, *_chosen(letters), col(DeadLetter.id) > after_id)
            .order_by(col(DeadLetter.id))
            .limit(limit)
            .with_for_update()
        )
        return (await self._session.scalars(statement)).all()

    async def remove(self, letter_id: str) -> bool:
        """Whether the letter was there to be removed."""
        statement = delete(DeadLetter).where(self._mine, col(DeadLetter.id) == letter_id).returning(col(DeadLetter.id))
        return (await self._session.execute(statement)).first() is not None

    async def waiting(
        self,
        *,
        consumer: str | None,
        event_type: str | None,
        since: datetime | None,
        before: tuple[str, str] | None,
        limit: int,
    ) -> list[Waiting]:
        """Events that wait, newest first, before the event and consumer `before`; `since` is when they happened."""
        statement = (
            select(
                col(FailedEvent.consumer),
                col(FailedEvent.event_id),
                col(FailedEvent.entity_id),
                col(FailedEvent.attempts),
                col(FailedEvent.error),
                col(FailedEvent.next_attempt_at),
                col(Event.type),
                col(Event.occurred_at),
            )
            .outerjoin(
                Event,
                (col(Event.tenant_id) == col(FailedEvent.tenant_id)) & (col(Event.id) == col(FailedEvent.event_id)),
            )
            .where(col(FailedEvent.tenant_id) == self._tenant_id)
            .order_by(col(FailedEvent.event_id).desc(), col(FailedEvent.consumer).desc())
            .limit(limit)
        )
        if consumer is not None:
            statement = statement.where(col(FailedEvent.consumer) == consumer)
        if event_type is not None:
            statement = statement.where(col(Event.type) == event_type)
        if since is not None:
            statement = statement.where(col(Event.occurred_at) >= since)
        if before is not None:
            statement = statement.where(tuple_(col(FailedEvent.event_id), col(FailedEvent.consumer)) < before)
        return [Waiting(*row) for row in await self._session.execute(statement)]


def _chosen(letters: Letters) -> list[ColumnElement[bool]]:
    chosen: list[ColumnElement[bool]] = []
    if letters.consumer is not None:
        chosen.append(col(DeadLetter.consumer) == letters.consumer)
    if letters.event_type is not None:
        chosen.append(col(DeadLetter.event_type) == letters.event_type)
    if letters.since is not None:
        chosen.append(col(DeadLetter.created_at) >= letters.since)
    if letters.before is not None:
        chosen.append(col(DeadLetter.created_at) < letters.before)
    if letters.ids is not None:
        chosen.append(col(DeadLetter.id).in_(letters.ids))
    return chosen
