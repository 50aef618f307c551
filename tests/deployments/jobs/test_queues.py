"""J4: what is in the queues, and holding them, on both databases."""

import json
from datetime import timedelta

import pytest

from db.models.audit import AuditEntry
from db.session import Database
from deployments.jobs.contracts import PauseOrder, ResumeOrder
from deployments.jobs.deployment import Jobs
from deployments.jobs.errors import JobSuperseded, NotPaused
from deployments.kit.errors import Forbidden
from deployments.kit.principal import PLATFORM_TENANT, Principal
from eventing.jobs import JobRun
from tests.eventing.harness import rows
from tests.eventing.jobs.harness import all_in, fetch, kind, order, reaches, serving
from tests.factories import make_tenant


@pytest.fixture
def jobs(database: Database) -> Jobs:
    return Jobs(database)


async def nothing(_job: JobRun) -> None:
    return None


async def test_a_pause_outlives_the_worker_until_it_is_taken_back(database: Database, jobs: Jobs) -> None:
    acme = await make_tenant(database)
    await jobs.pause_queue(acme, PauseOrder(queue="default", kind="work", reason="moving"))
    held = await order(database, "acme", 3)
    for _ in range(2):
        async with serving(database, kind(nothing)):
            (other,) = await order(database, "globex")
            await reaches(database, other, "succeeded")
    assert {(await fetch(database, job_id)).state for job_id in held} == {"queued"}
    async with serving(database, kind(nothing)):
        await jobs.resume_queue(acme, ResumeOrder(queue="default", kind="work"))
        await all_in(database, held, "succeeded")


async def test_a_queue_is_shown_with_what_holds_it(database: Database, jobs: Jobs) -> None:
    """A tenant sees its own jobs, and pauses by the platform without who made them; the platform sees all."""
    acme, globex = await make_tenant(database), await make_tenant(database, "globex")
    platform = await make_tenant(database, PLATFORM_TENANT)
    await order(database, "acme", 2)
    await order(database, "globex", 1)
    await order(database, "acme", 1, run_after_s=60)
    shown = await jobs.pause_queue(acme, PauseOrder(queue="default", reason="moving"))
    assert (shown.name, shown.waiting, shown.running) == ("default", 2, 0)
    assert shown.oldest_due_at is not None
    assert [(p.kind, p.reason, p.by_platform, p.paused_by) for p in shown.pauses] == [
        (None, "moving", False, "usr_acme")
    ]
    await jobs.pause_queue(platform, PauseOrder(queue="batch", kind="work"))
    high, default, batch = await jobs.list_queues(globex)
    assert [queue.name for queue in (high, default, batch)] == ["high", "default", "batch"]
    assert (default.waiting, default.pauses) == (1, [])
    assert [(p.kind, p.by_platform, p.paused_by) for p in batch.pauses] == [("work", True, None)]
    everything = (await jobs.list_queues(platform))[1]
    assert everything.waiting == 1  # of globex: what acme holds waits for nobody
    with pytest.raises(NotPaused):
        await jobs.resume_queue(globex, ResumeOrder(queue="batch", kind="work"))
    assert (await jobs.resume_queue(platform, ResumeOrder(queue="batch", kind="work"))).pauses == []


async def test_pausing_again_is_harmless_and_everything_is_audited(database: Database, jobs: Jobs) -> None:
    acme = await make_tenant(database)
    for _ in range(2):
        await jobs.pause_queue(acme, PauseOrder(queue="high", reason="moving"))
    await jobs.resume_queue(acme, ResumeOrder(queue="high"))
    deeds = [(entry.action, entry.entity_id, json.loads(entry.details)) for entry in await rows(database, AuditEntry)]
    assert deeds == [
        ("queue.paused", "high", {"kind": None, "reason": "moving"}),
        ("queue.resumed", "high", {"kind": None}),
    ]


async def test_holding_needs_more_than_seeing(database: Database, jobs: Jobs) -> None:
    await make_tenant(database)
    analyst = Principal("acme", "usr_1", "user", scopes=frozenset({"jobs:read", "jobs:write"}))
    assert len(await jobs.list_queues(analyst)) == 3
    for refused in (
        jobs.pause_queue(analyst, PauseOrder(queue="high")),
        jobs.resume_queue(analyst, ResumeOrder(queue="high")),
        jobs.list_queues(Principal("acme", "usr_1", "user")),
    ):
        with pytest.raises(Forbidden):
            await refused


async def test_jobs_are_found_by_queue_and_time(database: Database, jobs: Jobs) -> None:
    acme = await make_tenant(database)
    (first,) = await order(database, "acme", priority=2)
    (high,) = await order(database, "acme", queue="high")
    (last,) = await order(database, "acme")
    since = (await jobs.get(acme, high)).created_at
    assert [job.id for job in (await jobs.list_jobs(acme, created_since=since)).data] == [last, high]
    assert [job.id for job in (await jobs.list_jobs(acme, queue="default")).data] == [last, first]
    assert (await jobs.list_jobs(acme, created_since=since + timedelta(days=1))).data == []
    shown = await jobs.get(acme, first)
    assert (shown.queue, shown.priority, shown.expires_at) == ("default", 2, None)


async def test_a_job_whose_work_another_does_is_not_repeated(database: Database, jobs: Jobs) -> None:
    acme = await make_tenant(database)
    (first,) = await order(database, "acme", active_key="sync")
    await jobs.cancel(acme, first)
    (second,) = await order(database, "acme", active_key="sync")
    with pytest.raises(JobSuperseded):
        await jobs.retry(acme, first)
    await jobs.cancel(acme, second)
    assert (await jobs.retry(acme, first)).state == "queued"


async def test_queues_and_kinds_are_measured(database: Database, jobs: Jobs) -> None:
    """O2, J5: for the metrics, over all tenants."""
    async with serving(database, kind(nothing)):
        await all_in(database, await order(database, "acme", 3), "succeeded")
    await order(database, "globex", 2)
    measured = await jobs.measure()
    default = next(each for each in measured.queues if each.queue == "default")
    assert (default.waiting, default.running) == (2, 0)
    assert 0 <= default.oldest_s < 60
    assert [(each.kind, each.outcome, each.attempts) for each in measured.kinds] == [("work", "succeeded", 3)]
