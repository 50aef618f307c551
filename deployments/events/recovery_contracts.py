"""What crosses the door of events about those that went wrong, and about telling some again."""

from datetime import datetime
from typing import Any, Protocol

from pydantic import Field

from deployments.kit.contract import Contract, Page
from deployments.kit.moments import WrittenMoment
from deployments.kit.principal import Principal


class FindDeadLetters(Contract):
    """Which dead letters, newest first; what is not given does not matter."""

    consumer: str | None = Field(default=None, max_length=100, description="Who gave the event up.")
    type: str | None = Field(default=None, max_length=100, description="Type of the event.")
    since: WrittenMoment | None = Field(default=None, description="Given up not before this time.")
    until: WrittenMoment | None = Field(default=None, description="Given up before this time.")


class FindWaiting(Contract):
    """Which events that wait, newest first; what is not given does not matter."""

    consumer: str | None = Field(default=None, max_length=100, description="Whom the event waits for.")
    type: str | None = Field(default=None, max_length=100, description="Type of the event.")
    since: WrittenMoment | None = Field(default=None, description="Happened not before this time.")


class ChooseDeadLetters(FindDeadLetters):
    """The dead letters that something is to be done with: at least one property must be given."""

    ids: list[str] | None = Field(default=None, min_length=1, max_length=1_000, description="Only these.")


class DeadLetter(Contract):
    """An event that a consumer gave up."""

    id: str
    consumer: str = Field(description="Who gave it up; `relay` for one that could not be published.")
    event_id: str
    type: str
    reason: str = Field(description="Why the last attempt failed.")
    attempts: int
    failed_at: datetime = Field(description="When it was given up.")


class DeadLetterDetails(DeadLetter):
    """A dead letter with its payload, for those who may see personal data."""

    event: dict[str, Any] | None = Field(description="The event as webhooks get it; null when it is none.")
    raw: str | None = Field(description="What came instead of an event, as text.")


class WaitingEvent(Contract):
    """An event that waits for its consumer: after a failure, behind one of its entity, or for another turn."""

    consumer: str
    event_id: str
    type: str | None
    entity_id: str
    attempts: int = Field(description="How many there were; 0 while it waits behind another or for its turn.")
    reason: str
    next_attempt_at: datetime
    happened_at: datetime | None


class StartReplay(Contract):
    """Which events to tell again, and whom: one webhook or one consumer."""

    webhook_id: str | None = Field(default=None, max_length=100)
    consumer: str | None = Field(default=None, max_length=100, description="One that can be replayed to.")
    form_id: str | None = Field(default=None, max_length=100, description="Only events of this form.")
    types: list[str] | None = Field(default=None, min_length=1, max_length=100, description="Only these types.")
    since: WrittenMoment | None = Field(default=None, description="Happened not before this time.")
    until: WrittenMoment | None = Field(default=None, description="Happened before this time.")
    after_id: str | None = Field(default=None, max_length=100, description="Only events after this one.")
    dry_run: bool = Field(default=False, description="Only count, and show the first ones.")
    per_second: int = Field(default=50, ge=1, le=1_000, description="Events a second at most.")


class StartedJob(Contract):
    """The job that does it. `replayed`: an earlier call with the same key had ordered it."""

    job_id: str
    replayed: bool = Field(default=False, exclude=True)


class Component(Contract):
    """A part of the platform that others depend on."""

    name: str
    healthy: bool


class ConsumerBacklog(Contract):
    """What a consumer has before it."""

    consumer: str
    pending: int = Field(description="In the stream, not acknowledged.")
    waiting: int = Field(description="In the database, for the next attempt.")
    dead_letters: int


class EventMeasures(Contract):
    """How the transport of events is."""

    oldest_unpublished_s: float = Field(description="Age of the oldest event that is not in the stream; 0 for none.")
    components: list[Component]
    consumers: list[ConsumerBacklog]
    last_backup: float | None = Field(
        default=None, description="When the last complete backup was taken, in seconds since 1970; null for none."
    )
    last_drill: float | None = Field(
        default=None, description="When a drill last ended without findings, in seconds since 1970; null for never."
    )
    drill_findings: float | None = Field(default=None, description="What the last drill found wrong; null for none.")


class EventRecoveryApi(Protocol):
    """Seeing what went wrong with events, and putting it right."""

    async def list_dead_letters(
        self, principal: Principal, query: FindDeadLetters, cursor: str | None, limit: int
    ) -> Page[DeadLetter]: ...

    async def get_dead_letter(self, principal: Principal, letter_id: str) -> DeadLetterDetails:
        """Raises DeadLetterNotFound."""
        ...

    async def list_waiting(
        self, principal: Principal, query: FindWaiting, cursor: str | None, limit: int
    ) -> Page[WaitingEvent]: ...

    async def redrive(self, principal: Principal, letter_id: str) -> None:
        """Put the event before its consumer again. Raises DeadLetterNotFound, NotRedrivable."""
        ...

    async def discard(self, principal: Principal, letter_id: str) -> None:
        """Forget the letter. Raises DeadLetterNotFound."""
        ...

    async def redrive_many(self, principal: Principal, command: ChooseDeadLetters) -> StartedJob:
        """Order a job that redrives them. Raises InvalidChoice."""
        ...

    async def discard_many(self, principal: Principal, command: ChooseDeadLetters) -> StartedJob:
        """Order a job that discards them. Raises InvalidChoice."""
        ...

    async def replay(self, principal: Principal, command: StartReplay, idempotency_key: str | None) -> StartedJob:
        """Order a job that tells events again. Raises InvalidReplay, and the webhook's failures."""
        ...

    async def measure(self) -> EventMeasures:
        """Over all tenants, for the platform's operators."""
        ...
