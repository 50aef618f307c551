"""J3: schedules on both databases, with a clock of their own."""

import asyncio
from collections.abc import Awaitable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import update
from sqlmodel import col

from db.models.audit import AuditEntry
from db.models.identity import Tenant
from db.models.jobs import Job
from db.models.jobs import Schedule as Row
from db.session import Database
from deployments.jobs import schedules
from deployments.jobs.contracts import NewSchedule, Schedulable, Schedule, ScheduleChange
from deployments.jobs.deployment import Jobs
from deployments.jobs.errors import InvalidSchedule, ScheduleNameTaken, ScheduleNotFound, TooManySchedules
from deployments.jobs.scheduler import Scheduler
from deployments.kit.contract import Contract
from deployments.kit.errors import Forbidden
from deployments.kit.principal import PLATFORM_TENANT, Principal
from eventing.jobs import JobRun
from tests.eventing.harness import eventually, is_true, rows
from tests.eventing.jobs.harness import kind, reaches, serving
from tests.factories import make_tenant

SIX = datetime(2026, 5, 2, 6, tzinfo=UTC)
DAY = timedelta(days=1)


class Mowing(Contract):
    """What is mown."""

    lawn: str
    height: int = 4


MOW = Schedulable("garden.mow", "Mow a lawn.", "forms:write", "batch", Mowing, priority=3)
SWEEP = Schedulable("platform.sweep", "Sweep.", "platform:admin")


class Clock:
    """What time it is, as the test says."""

    def __init__(self, now: datetime) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def jobs(database: Database) -> Jobs:
    return Jobs(database, (MOW, SWEEP))


@pytest.fixture
def clock() -> Clock:
    return Clock(SIX)


@pytest.fixture
def scheduler(database: Database, clock: Clock) -> Scheduler:
    return Scheduler(database, (MOW, SWEEP), clock=clock)


def new(**changes: Any) -> NewSchedule:
    values = {"name": "lawn", "kind": "garden.mow", "payload": {"lawn": "front"}, "cron": "0 6 * * *"}
    return NewSchedule.model_validate({**values, **changes})


async def planned(database: Database, jobs: Jobs, owner: Principal, next_run_at: datetime, **changes: Any) -> Schedule:
    """A schedule whose next run is then."""
    made = await jobs.create_schedule(owner, new(**changes))
    async with database.unscoped_write() as unit:
        await unit.session.execute(update(Row).where(col(Row.id) == made.id).values(next_run_at=next_run_at))
    return made


async def runs(database: Database) -> list[str]:
    """What was started, by the moment for which it was."""
    return sorted(job.payload["scheduled_for"] for job in await rows(database, Job))


async def test_a_schedule_starts_its_job_with_what_was_validated(
    database: Database, jobs: Jobs, scheduler: Scheduler
) -> None:
    owner = await make_tenant(database)
    made = await planned(database, jobs, owner, SIX)
    assert await scheduler.fire_due() == 1
    (job,) = await rows(database, Job)
    assert (job.tenant_id, job.kind, job.queue, job.priority) == ("acme", "garden.mow", "batch", 3)
    assert job.payload == {"lawn": "front", "height": 4, "scheduled_for": SIX.isoformat()}
    shown = await jobs.get_schedule(owner, made.id)
    assert shown.next_run_at == SIX + DAY
    assert shown.last_run is not None
    assert (shown.last_run.due_at, shown.last_run.job_id, shown.last_run.state) == (SIX, job.id, "queued")


async def test_leaders_that_fire_at_once_start_nothing_twice(
    database: Database, jobs: Jobs, scheduler: Scheduler, clock: Clock
) -> None:
    """Two processes may both believe that they lead."""
    owner = await make_tenant(database)
    for number in range(5):
        await planned(database, jobs, owner, SIX, name=f"lawn {number}", missed="run_all")
    clock.now = SIX + 2 * DAY
    others = [Scheduler(database, (MOW,), clock=clock) for _ in range(3)]
    assert sum(await asyncio.gather(*(each.fire_due() for each in (scheduler, *others)))) == 15
    assert len(await runs(database)) == 15


async def test_a_clock_that_is_set_back_starts_nothing_twice(
    database: Database, jobs: Jobs, scheduler: Scheduler, clock: Clock
) -> None:
    owner = await make_tenant(database)
    made = await planned(database, jobs, owner, SIX)
    await scheduler.fire_due()
    for now in (SIX - timedelta(hours=2), SIX - timedelta(seconds=1), SIX, SIX + timedelta(hours=1)):
        clock.now = now
        assert await scheduler.fire_due() == 0
    # Not even when somebody makes the schedule count from then.
    async with database.unscoped_write() as unit:
        await unit.session.execute(update(Row).where(col(Row.id) == made.id).values(next_run_at=SIX))
        await unit.session.execute(update(Job).values(state="succeeded"))
    await scheduler.fire_due()
    assert await runs(database) == [SIX.isoformat()]


@pytest.mark.parametrize(("missed", "expected"), [("skip", 0), ("run_once", 1), ("run_all", 3)])
async def test_what_was_missed_is_dealt_with_as_the_schedule_says(
    database: Database, jobs: Jobs, scheduler: Scheduler, clock: Clock, missed: str, expected: int
) -> None:
    """Also when the clock jumps forward."""
    owner = await make_tenant(database)
    made = await planned(database, jobs, owner, SIX, missed=missed)
    clock.now = SIX + 2 * DAY + timedelta(hours=3)
    assert await scheduler.fire_due() == expected
    assert (await runs(database)) == [(SIX + day * DAY).isoformat() for day in range(3 - expected, 3)]
    assert (await jobs.get_schedule(owner, made.id)).next_run_at == SIX + 3 * DAY


async def test_a_run_that_waits_or_runs_stands_for_the_next(
    database: Database, jobs: Jobs, scheduler: Scheduler, clock: Clock
) -> None:
    owner = await make_tenant(database)
    made = await planned(database, jobs, owner, SIX)
    await scheduler.fire_due()
    clock.now = SIX + DAY
    await scheduler.fire_due()
    (job,) = await rows(database, Job)
    shown = await jobs.get_schedule(owner, made.id)
    assert shown.last_run is not None
    assert (shown.last_run.due_at, shown.last_run.job_id) == (SIX + DAY, job.id)
    async with database.unscoped_write() as unit:
        await unit.session.execute(update(Job).values(state="succeeded"))
    clock.now = SIX + 2 * DAY
    await scheduler.fire_due()
    assert await runs(database) == [SIX.isoformat(), (SIX + 2 * DAY).isoformat()]


async def test_over_a_change_of_clocks_a_run_comes_once_a_day(
    database: Database, jobs: Jobs, scheduler: Scheduler, clock: Clock
) -> None:
    """From the day before to the day after clocks go back, looked at every half hour."""
    owner = await make_tenant(database)
    first = datetime(2026, 10, 24, 0, 30, tzinfo=UTC)
    await planned(database, jobs, owner, first, cron="30 2 * * *", time_zone="Europe/Berlin")
    async with database.unscoped_write() as unit:
        await unit.session.execute(update(Row).values(missed="run_all"))
    clock.now = first - timedelta(hours=1)
    while clock.now < datetime(2026, 10, 26, 3, tzinfo=UTC):
        clock.now += timedelta(minutes=30)
        await scheduler.fire_due()
    assert await runs(database) == [
        "2026-10-24T00:30:00+00:00",
        "2026-10-25T00:30:00+00:00",
        "2026-10-26T01:30:00+00:00",
    ]


async def test_what_is_switched_off_or_closed_or_unknown_starts_nothing(
    database: Database, jobs: Jobs, scheduler: Scheduler, clock: Clock
) -> None:
    """A schedule of a newer version is left to whoever knows it; a suspended tenant has no effects."""
    acme, globex = await make_tenant(database), await make_tenant(database, "globex")
    off = await planned(database, jobs, acme, SIX, name="off", enabled=False)
    assert off.next_run_at is None
    async with database.write("acme") as unit:  # whoever found it a moment before
        assert await schedules.fire(unit, {MOW.kind: MOW}, off.id, SIX) == 0
    unknown = await planned(database, jobs, acme, SIX, name="unknown")
    await planned(database, jobs, globex, SIX)
    async with database.unscoped_write() as unit:
        await unit.session.execute(update(Row).where(col(Row.id) == unknown.id).values(kind="garden.newer"))
        await unit.session.execute(update(Tenant).where(col(Tenant.id) == "globex").values(status="suspended"))
    assert await scheduler.fire_due() == 0
    async with database.unscoped_write() as unit:
        await unit.session.execute(update(Tenant).values(status="active"))
    clock.now = SIX + DAY
    assert await scheduler.fire_due() == 1
    assert [job.tenant_id for job in await rows(database, Job)] == ["globex"]


async def test_a_schedule_that_cannot_be_read_stops_no_other(
    database: Database, jobs: Jobs, scheduler: Scheduler
) -> None:
    owner = await make_tenant(database)
    broken = await planned(database, jobs, owner, SIX - DAY, name="broken")
    odd = await planned(database, jobs, owner, SIX - DAY, name="odd")
    await planned(database, jobs, owner, SIX)
    async with database.unscoped_write() as unit:
        await unit.session.execute(update(Row).where(col(Row.id) == broken.id).values(time_zone="Mars/Olympus"))
        await unit.session.execute(update(Row).where(col(Row.id) == odd.id).values(payload=["no", "object"]))
    assert await scheduler.fire_due() == 1
    assert not (await jobs.get_schedule(owner, broken.id)).enabled


async def test_what_is_not_known_any_more_can_be_switched_off(database: Database, jobs: Jobs) -> None:
    owner = await make_tenant(database)
    made = await jobs.create_schedule(owner, new())
    older = Jobs(database, (SWEEP,))
    assert not (await older.change_schedule(owner, made.id, ScheduleChange(enabled=False))).enabled
    with pytest.raises(InvalidSchedule):
        await older.change_schedule(owner, made.id, ScheduleChange(payload={"lawn": "back"}))
    with pytest.raises(InvalidSchedule):
        await older.run_schedule(owner, made.id)
    await older.delete_schedule(owner, made.id)


async def test_one_leads_and_another_takes_over(database: Database, jobs: Jobs) -> None:
    """Started as a worker does it; the leader is stopped, and the other goes on without waiting for the lease."""
    owner = await make_tenant(database)
    schedulers = [Scheduler(database, (MOW,), poll_s=0.05, lease_s=0.6) for _ in range(2)]
    tasks = [asyncio.create_task(each.run()) for each in schedulers]
    await eventually(lambda: is_true(lambda: any(each._leadership.is_held for each in schedulers)))
    (leader,) = [each for each in schedulers if each._leadership.is_held]
    await leader.stop()
    made = await planned(database, jobs, owner, datetime.now(UTC) - timedelta(seconds=1))

    async def fired() -> bool:
        return (await jobs.get_schedule(owner, made.id)).last_run is not None

    await eventually(fired)
    for each, task in zip(schedulers, tasks, strict=True):
        await each.stop()
        await task


class TestApi:
    async def test_a_new_schedule_runs_next_after_now(self, database: Database, jobs: Jobs) -> None:
        owner = await make_tenant(database)
        made = await jobs.create_schedule(owner, new(cron="* * * * *", time_zone="Europe/Berlin"))
        now = datetime.now(UTC)
        assert made.next_run_at is not None
        assert now - timedelta(seconds=5) < made.next_run_at <= now + timedelta(seconds=60)
        assert made.payload == {"lawn": "front", "height": 4}
        assert (await jobs.list_schedules(owner)).data == [made]

    async def test_every_fault_is_named(self, database: Database, jobs: Jobs) -> None:
        owner = await make_tenant(database)
        with pytest.raises(InvalidSchedule) as raised:
            await jobs.create_schedule(
                owner, new(cron="0 0 31 2 *", time_zone="Mars/Olympus", payload={"height": "tall", "colour": "red"})
            )
        assert {(fault.pointer, fault.code) for fault in raised.value.faults} == {
            ("/payload/lawn", "required"),
            ("/payload/height", "type"),
            ("/payload/colour", "unknown_property"),
            ("/time_zone", "time_zone.unknown"),
            ("/cron", "cron.invalid"),
        }
        for unknown in ("garden.rake", "platform.sweep"):
            with pytest.raises(InvalidSchedule) as raised:
                await jobs.create_schedule(owner, new(kind=unknown))
            assert [fault.pointer for fault in raised.value.faults] == ["/kind"]

    async def test_names_are_the_tenants_own(self, database: Database, jobs: Jobs) -> None:
        """T4."""
        owner, globex = await make_tenant(database), await make_tenant(database, "globex")
        made = await jobs.create_schedule(owner, new())
        other = await jobs.create_schedule(owner, new(name="hedge"))
        await jobs.create_schedule(globex, new())
        with pytest.raises(ScheduleNameTaken):
            await jobs.create_schedule(owner, new())
        with pytest.raises(ScheduleNameTaken):
            await jobs.change_schedule(owner, other.id, ScheduleChange(name="lawn"))
        assert (await jobs.change_schedule(owner, made.id, ScheduleChange(name="lawn"))).name == "lawn"

    async def test_a_tenant_has_a_bounded_number(
        self, database: Database, jobs: Jobs, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("deployments.jobs.schedules.MOST", 2)
        owner = await make_tenant(database)
        for number in range(2):
            await jobs.create_schedule(owner, new(name=f"lawn {number}"))
        with pytest.raises(TooManySchedules):
            await jobs.create_schedule(owner, new())

    async def test_what_is_changed_counts_from_now(self, database: Database, jobs: Jobs) -> None:
        owner = await make_tenant(database)
        made = await planned(database, jobs, owner, SIX)
        renamed = await jobs.change_schedule(owner, made.id, ScheduleChange(name="grass", payload={"lawn": "back"}))
        assert (renamed.next_run_at, renamed.payload) == (SIX, {"lawn": "back", "height": 4})
        off = await jobs.change_schedule(owner, made.id, ScheduleChange(enabled=False))
        assert (off.enabled, off.next_run_at) == (False, None)
        on = await jobs.change_schedule(owner, made.id, ScheduleChange(enabled=True, cron="0 7 * * *"))
        assert on.next_run_at is not None
        assert on.next_run_at > datetime.now(UTC)
        assert on.next_run_at.hour == 7
        with pytest.raises(InvalidSchedule):
            await jobs.change_schedule(owner, made.id, ScheduleChange(payload={}))

    async def test_run_now_starts_it_once(self, database: Database, jobs: Jobs) -> None:
        owner = await make_tenant(database)
        made = await jobs.create_schedule(owner, new(enabled=False))
        first = await jobs.run_schedule(owner, made.id)
        assert await jobs.run_schedule(owner, made.id) == first
        seen: list[dict[str, Any]] = []

        async def run(job: JobRun) -> None:
            seen.append(job.payload)

        async with serving(database, kind(run, "garden.mow", queue="batch"), queues={"batch": 1}):
            await reaches(database, first.job_id, "succeeded")
        assert (await jobs.run_schedule(owner, made.id)).job_id != first.job_id
        assert [payload["lawn"] for payload in seen] == ["front"]

    async def test_what_was_done_is_in_the_audit_trail(self, database: Database, jobs: Jobs) -> None:
        owner = await make_tenant(database)
        made = await jobs.create_schedule(owner, new())
        await jobs.change_schedule(owner, made.id, ScheduleChange(enabled=False))
        await jobs.run_schedule(owner, made.id)
        await jobs.delete_schedule(owner, made.id)
        deeds = [entry.action for entry in await rows(database, AuditEntry)]
        assert deeds == ["schedule.created", "schedule.changed", "schedule.run", "schedule.deleted"]
        with pytest.raises(ScheduleNotFound):
            await jobs.get_schedule(owner, made.id)

    async def test_scheduling_needs_the_permission_of_the_kind(self, database: Database, jobs: Jobs) -> None:
        owner = await make_tenant(database)
        made = await jobs.create_schedule(owner, new())
        analyst = Principal("acme", "usr_2", "user", scopes=frozenset({"jobs:read", "jobs:write"}))
        reader = Principal("acme", "usr_3", "user", scopes=frozenset({"jobs:read", "forms:write"}))
        for who in (analyst, reader):
            refused: list[Awaitable[Any]] = [
                jobs.create_schedule(who, new(name="mine")),
                jobs.change_schedule(who, made.id, ScheduleChange(enabled=False)),
                jobs.run_schedule(who, made.id),
                jobs.delete_schedule(who, made.id),
            ]
            for attempt in refused:
                with pytest.raises(Forbidden):
                    await attempt
        with pytest.raises(Forbidden):
            await jobs.list_schedules(Principal("acme", "usr_4", "user"))

    async def test_another_tenants_schedule_does_not_exist(self, database: Database, jobs: Jobs) -> None:
        """T5: the same answer as for a schedule that nobody has, and nothing changes."""
        owner, globex = await make_tenant(database), await make_tenant(database, "globex")
        made = await jobs.create_schedule(owner, new())
        for who, schedule_id in ((globex, made.id), (owner, "sch_unknown")):
            refused: list[Awaitable[Any]] = [
                jobs.get_schedule(who, schedule_id),
                jobs.change_schedule(who, schedule_id, ScheduleChange(enabled=False)),
                jobs.run_schedule(who, schedule_id),
                jobs.delete_schedule(who, schedule_id),
            ]
            for attempt in refused:
                with pytest.raises(ScheduleNotFound):
                    await attempt
        assert (await jobs.list_schedules(globex)).data == []
        assert await jobs.get_schedule(owner, made.id) == made

    async def test_the_platforms_kinds_are_the_platforms(self, database: Database, jobs: Jobs) -> None:
        owner, platform = await make_tenant(database), await make_tenant(database, PLATFORM_TENANT)
        assert [each.kind for each in await jobs.list_schedulable(owner)] == ["garden.mow"]
        (sweep,) = await jobs.list_schedulable(platform)
        assert sweep.kind == "platform.sweep"
        await jobs.create_schedule(platform, new(kind="platform.sweep", payload={}))
        with pytest.raises(InvalidSchedule):
            await jobs.create_schedule(platform, new(name="mow"))

    async def test_the_list_has_pages_newest_first(self, database: Database, jobs: Jobs) -> None:
        owner = await make_tenant(database)
        made = [await jobs.create_schedule(owner, new(name=f"lawn {number}")) for number in range(3)]
        first = await jobs.list_schedules(owner, limit=2)
        rest = await jobs.list_schedules(owner, first.meta.next_cursor, 2)
        assert [each.id for each in (*first.data, *rest.data)] == [each.id for each in reversed(made)]
        assert rest.meta.next_cursor is None
