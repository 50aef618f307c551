"""What crosses the door of jobs: the state of work that outlives its request, its queues, and what starts it."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Literal, Protocol, TypeAlias

from pydantic import AfterValidator, Field

from deployments.jobs import cron
from deployments.kit.contract import Contract, Page
from deployments.kit.principal import Principal

JobKindName: TypeAlias = Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[a-z0-9_.]+$")]
ScheduleName: TypeAlias = Annotated[str, Field(min_length=1, max_length=100, pattern=r"^\S(.*\S)?$")]
Cron: TypeAlias = Annotated[str, Field(max_length=100, description="Five fields, as in `30 6 * * MON-FRI`.")]
TimeZone: TypeAlias = Annotated[str, Field(max_length=100, description="Of the IANA database, as in `Europe/Berlin`.")]
WorkingCron: TypeAlias = Annotated[Cron, AfterValidator(cron.working)]
"""A cron that was tried when its body was read, so that it is refused together with all else that is wrong there."""
KnownZone: TypeAlias = Annotated[TimeZone, AfterValidator(cron.known_zone)]
"""As `WorkingCron`, a time zone."""
Missed: TypeAlias = Literal["skip", "run_once", "run_all"]
QueueName: TypeAlias = Literal["high", "default", "batch"]
JobState: TypeAlias = Literal["queued", "running", "succeeded", "failed", "cancelled"]


class Progress(Contract):
    """How far the work is; `total` is null until it is known."""

    done: int
    total: int | None


class JobAttempt(Contract):
    """One attempt that ended. `error` is null when it succeeded."""

    started_at: datetime
    ended_at: datetime
    error: str | None


class Job(Contract):
    """A unit of work and what became of it."""

    id: str
    kind: str
    queue: str
    priority: int = Field(description="Of the jobs that are due in the queue, those of higher priority go first.")
    state: JobState
    progress: Progress
    attempts: list[JobAttempt] = Field(description="The latest attempts, oldest first.")
    result: dict[str, Any] | None = Field(description="What the kind of job reports when it succeeded.")
    error: str | None = Field(description="Why the latest attempt failed.")
    created_by: str
    created_at: datetime
    run_at: datetime = Field(description="When the next attempt is due, or the latest one was.")
    finished_at: datetime | None
    expires_at: datetime | None = Field(description="From then on the job and its result may be removed.")

    @property
    def is_over(self) -> bool:
        """Whether it will not change any more by itself."""
        return self.finished_at is not None


class PauseOrder(Contract):
    """Hold a queue, or one kind of job in it. What runs ends; nothing else is started."""

    queue: QueueName
    kind: JobKindName | None = Field(default=None, description="Null for the whole queue.")
    reason: str = Field(default="", max_length=500)


class ResumeOrder(Contract):
    """Take back the pause of the whole queue, or that of one kind."""

    queue: QueueName
    kind: JobKindName | None = None


class Pause(Contract):
    """What is held. `by_platform` is for every tenant, and only platform administrators take it back."""

    kind: str | None
    reason: str
    by_platform: bool
    paused_by: str | None = Field(description="Null for a pause by the platform.")
    paused_at: datetime


class QueueState(Contract):
    """A queue: for a tenant its own jobs, for platform administrators those of all."""

    name: str
    waiting: int = Field(description="Jobs that are due, counted up to 10,000.")
    running: int
    oldest_due_at: datetime | None = Field(description="Since when the oldest of them is due.")
    pauses: list[Pause]


class Nothing(Contract):
    """A payload without members."""


@dataclass(frozen=True, slots=True)
class Schedulable:
    """A kind of job that schedules may start. `scope` is the permission that this needs; with `platform:admin` only the
    platform's own tenant has such schedules, else only others. A job gets the `payload` that was validated and
    `scheduled_for`, the moment that it was due, in RFC 3339. With `standing`, a line of cron in UTC, the platform has
    such a schedule from its start."""

    kind: str
    purpose: str
    scope: str
    queue: str = "default"
    payload: type[Contract] = Nothing
    priority: int = 0
    standing: str | None = None


DAILY = "0 0 * * *"


class SchedulableKind(Contract):
    """What a schedule of this tenant may start."""

    kind: str
    purpose: str
    scope: str = Field(description="The permission that scheduling it needs, beside `jobs:write`.")
    payload_schema: dict[str, Any] = Field(description="JSON Schema of the payload.")


class NewSchedule(Contract):
    """Start a job by the clock."""

    name: ScheduleName
    kind: JobKindName
    payload: dict[str, Any] = Field(default_factory=dict, description="See `payload_schema` of the kind.")
    cron: Cron
    time_zone: TimeZone = "UTC"
    missed: Missed = "run_once"
    enabled: bool = True


class ScheduleChange(Contract):
    """What is given is changed. A new cron, time zone or `enabled` counts from now: nothing is made up for."""

    name: ScheduleName | None = None
    payload: dict[str, Any] | None = None
    cron: Cron | None = None
    time_zone: TimeZone | None = None
    missed: Missed | None = None
    enabled: bool | None = None


class LastRun(Contract):
    """What a schedule started last. The job is null when it is not kept any more."""

    due_at: datetime
    job_id: str | None
    state: JobState | None


class Schedule(Contract):
    """What starts a job by the clock."""

    id: str
    name: str
    kind: str
    payload: dict[str, Any]
    cron: str
    time_zone: str
    missed: Missed
    enabled: bool
    next_run_at: datetime | None = Field(description="Null while it is not enabled.")
    last_run: LastRun | None
    created_by: str
    created_at: datetime
    updated_at: datetime


class StartedRun(Contract):
    """The job that was started; one that still waits or runs, if there is."""

    job_id: str


class QueueMeasure(Contract):
    """A queue over all tenants. `waiting` counts what is due and not held, `oldest_s` is how long the oldest waits."""

    queue: str
    waiting: int
    running: int
    oldest_s: float


class KindMeasure(Contract):
    """How many attempts at jobs of a kind ended so, and the seconds they ran and had waited, in all."""

    kind: str
    outcome: str
    attempts: int
    duration_s: float
    lag_s: float


class JobMeasures(Contract):
    """The numbers of all queues."""

    queues: list[QueueMeasure]
    kinds: list[KindMeasure]


class JobsApi(Protocol):
    """A tenant's jobs, its queues and what starts jobs by the clock."""

    async def get(self, principal: Principal, job_id: str) -> Job: ...

    async def list_jobs(
        self,
        principal: Principal,
        cursor: str | None = None,
        limit: int = 20,
        kind: str | None = None,
        state: JobState | None = None,
        queue: str | None = None,
        created_since: datetime | None = None,
    ) -> Page[Job]: ...

    async def cancel(self, principal: Principal, job_id: str) -> Job: ...

    async def retry(self, principal: Principal, job_id: str) -> Job: ...

    async def list_queues(self, principal: Principal) -> list[QueueState]: ...

    async def pause_queue(self, principal: Principal, order: PauseOrder) -> QueueState: ...

    async def resume_queue(self, principal: Principal, order: ResumeOrder) -> QueueState: ...

    async def list_schedulable(self, principal: Principal) -> list[SchedulableKind]: ...

    async def create_schedule(self, principal: Principal, new: NewSchedule) -> Schedule: ...

    async def list_schedules(
        self, principal: Principal, cursor: str | None = None, limit: int = 20, kind: str | None = None
    ) -> Page[Schedule]: ...

    async def get_schedule(self, principal: Principal, schedule_id: str) -> Schedule: ...

    async def change_schedule(self, principal: Principal, schedule_id: str, change: ScheduleChange) -> Schedule: ...

    async def delete_schedule(self, principal: Principal, schedule_id: str) -> None: ...

    async def run_schedule(self, principal: Principal, schedule_id: str) -> StartedRun: ...

    async def measure(self) -> JobMeasures: ...
