"""The door of jobs: opens the unit of work, calls the rules, returns contracts."""

from collections.abc import Sequence
from datetime import datetime
from functools import partial

from db.models import jobs as tables
from db.repositories.job_claims import depth_of, depths_of
from db.repositories.job_tallies import all_tallies
from db.repositories.jobs import JobRepository
from db.session import Database, UnitOfWork
from db.types import utc_now
from deployments.jobs import pausing, schedules, service
from deployments.jobs.contracts import (
    Job,
    JobAttempt,
    JobMeasures,
    JobState,
    KindMeasure,
    LastRun,
    NewSchedule,
    PauseOrder,
    Progress,
    QueueMeasure,
    QueueState,
    ResumeOrder,
    Schedulable,
    SchedulableKind,
    Schedule,
    ScheduleChange,
    StartedRun,
)
from deployments.jobs.settings import JobsSettings
from deployments.kit.contract import Page, PageMeta
from deployments.kit.pagination import decode_cursor, encode_cursor
from deployments.kit.principal import PLATFORM_TENANT, Principal
from eventing.jobs import QUEUES

_SORT = "-id"


class Jobs:
    """The state of work that outlives its request, and what starts it; satisfies `JobsApi`."""

    def __init__(
        self, database: Database, schedulable: Sequence[Schedulable] = (), settings: JobsSettings | None = None
    ) -> None:
        self._database = database
        self._registry = {each.kind: each for each in schedulable}
        self._settings = settings or JobsSettings()

    async def get(self, principal: Principal, job_id: str) -> Job:
        async with self._database.read(principal.tenant_id) as unit:
            return self._to_job(await service.get(unit, principal, job_id))

    async def list_jobs(
        self,
        principal: Principal,
        cursor: str | None = None,
        limit: int = 20,
        kind: str | None = None,
        state: JobState | None = None,
        queue: str | None = None,
        created_since: datetime | None = None,
    ) -> Page[Job]:
        before_id = decode_cursor(cursor, _SORT, 1)[0] if cursor else None
        async with self._database.read(principal.tenant_id) as unit:
            rows = await service.page(
                unit,
                principal,
                kind=kind,
                state=state,
                queue=queue,
                created_since=created_since,
                before_id=before_id,
                limit=limit + 1,
            )
        next_cursor = encode_cursor(_SORT, [rows[limit - 1].id]) if len(rows) > limit else None
        return Page[Job](
            data=[self._to_job(row) for row in rows[:limit]], meta=PageMeta(limit=limit, next_cursor=next_cursor)
        )

    async def cancel(self, principal: Principal, job_id: str) -> Job:
        async with self._database.write(principal.tenant_id) as unit:
            return self._to_job(await service.cancel(unit, principal, job_id))

    async def retry(self, principal: Principal, job_id: str) -> Job:
        async with self._database.write(principal.tenant_id) as unit:
            return self._to_job(await service.retry(unit, principal, job_id))

    # Queues.

    async def list_queues(self, principal: Principal) -> list[QueueState]:
        principal.require(pausing.READ)
        return [await self._queue(principal, queue) for queue in QUEUES]

    async def pause_queue(self, principal: Principal, order: PauseOrder) -> QueueState:
        async with self._database.write(principal.tenant_id) as unit:
            await pausing.pause(unit, principal, order)
        return await self._queue(principal, order.queue)

    async def resume_queue(self, principal: Principal, order: ResumeOrder) -> QueueState:
        async with self._database.write(principal.tenant_id) as unit:
            await pausing.resume(unit, principal, order)
        return await self._queue(principal, order.queue)

    async def _queue(self, principal: Principal, queue: str) -> QueueState:
        now = utc_now()
        async with self._database.unscoped_read() as unit:
            pauses = await pausing.all_pauses(unit, principal.tenant_id)
        if principal.tenant_id == PLATFORM_TENANT:
            depth = await self._database.view(partial(depth_of, queue=queue, now=now))
        else:
            async with self._database.read(principal.tenant_id) as unit:
                depth = await JobRepository(unit.session, unit.tenant).depth(queue, now)
        return pausing.to_state(queue, depth, pauses)

    # Schedules.

    async def list_schedulable(self, principal: Principal) -> list[SchedulableKind]:
        principal.require(schedules.READ)
        return [
            SchedulableKind(
                kind=each.kind,
                purpose=each.purpose,
                scope=each.scope,
                payload_schema=each.payload.model_json_schema(),
            )
            for each in schedules.offered(self._registry, principal.tenant_id).values()
        ]

    async def create_schedule(self, principal: Principal, new: NewSchedule) -> Schedule:
        async with self._database.write(principal.tenant_id) as unit:
            return await _to_schedule(unit, await schedules.create(unit, principal, self._registry, new))

    async def list_schedules(
        self, principal: Principal, cursor: str | None = None, limit: int = 20, kind: str | None = None
    ) -> Page[Schedule]:
        before_id = decode_cursor(cursor, _SORT, 1)[0] if cursor else None
        async with self._database.read(principal.tenant_id) as unit:
            rows = await schedules.page(unit, principal, before_id=before_id, limit=limit + 1, kind=kind)
            data = [await _to_schedule(unit, row) for row in rows[:limit]]
        next_cursor = encode_cursor(_SORT, [rows[limit - 1].id]) if len(rows) > limit else None
        return Page[Schedule](data=data, meta=PageMeta(limit=limit, next_cursor=next_cursor))

    async def get_schedule(self, principal: Principal, schedule_id: str) -> Schedule:
        async with self._database.read(principal.tenant_id) as unit:
            return await _to_schedule(unit, await schedules.get(unit, principal, schedule_id))

    async def change_schedule(self, principal: Principal, schedule_id: str, change: ScheduleChange) -> Schedule:
        async with self._database.write(principal.tenant_id) as unit:
            row = await schedules.change(unit, principal, self._registry, schedule_id, change)
            return await _to_schedule(unit, row)

    async def delete_schedule(self, principal: Principal, schedule_id: str) -> None:
        async with self._database.write(principal.tenant_id) as unit:
            await schedules.delete(unit, principal, self._registry, schedule_id)

    async def run_schedule(self, principal: Principal, schedule_id: str) -> StartedRun:
        async with self._database.write(principal.tenant_id) as unit:
            return StartedRun(job_id=await schedules.run_now(unit, principal, self._registry, schedule_id))

    # Numbers.

    async def measure(self) -> JobMeasures:
        now = utc_now()
        depths = await self._database.view(partial(depths_of, queues=QUEUES, now=now))
        tallies = await self._database.view(all_tallies)
        return JobMeasures(
            queues=[
                QueueMeasure(
                    queue=queue,
                    waiting=depth.waiting,
                    running=depth.running,
                    oldest_s=0.0 if depth.oldest is None else max(0.0, (now - depth.oldest).total_seconds()),
                )
                for queue, depth in depths.items()
            ],
            kinds=[
                KindMeasure(
                    kind=kind,
                    outcome=outcome,
                    attempts=tally.attempts,
                    duration_s=tally.duration_s,
                    lag_s=tally.lag_s,
                )
                for (kind, outcome), tally in sorted(tallies.items())
            ],
        )

    def _to_job(self, row: tables.Job) -> Job:
        return Job.model_validate(
            {
                "id": row.id,
                "kind": row.kind,
                "queue": row.queue,
                "priority": row.priority,
                "state": row.state,
                "progress": Progress(done=row.progress_done, total=row.progress_total),
                "attempts": [JobAttempt.model_validate(attempt) for attempt in row.attempts],
                "result": row.result,
                "error": row.error,
                "created_by": row.created_by,
                "created_at": row.created_at,
                "run_at": row.run_at,
                "finished_at": row.finished_at,
                "expires_at": None if row.finished_at is None else row.finished_at + self._settings.kept(row.state),
            }
        )


async def _to_schedule(unit: UnitOfWork, row: tables.Schedule) -> Schedule:
    last = None
    if row.last_run_at is not None:
        job = await JobRepository(unit.session, unit.tenant).find(row.last_job_id or "")
        last = LastRun.model_validate(
            {"due_at": row.last_run_at, "job_id": job.id if job else None, "state": job.state if job else None}
        )
    return Schedule.model_validate(
        {
            "id": row.id,
            "name": row.name,
            "kind": row.kind,
            "payload": row.payload,
            "cron": row.cron,
            "time_zone": row.time_zone,
            "missed": row.missed,
            "enabled": row.is_enabled,
            "next_run_at": row.next_run_at if row.is_enabled else None,
            "last_run": last,
            "created_by": row.created_by,
            "created_at": row.created_at,
            "updated_at": row.updated_at,
        }
    )
