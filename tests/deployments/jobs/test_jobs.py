"""The jobs context on both databases: status, list, cancel, retry, and what another tenant sees of it."""

import asyncio
from typing import Any

import pytest

from db.session import Database
from deployments.jobs.contracts import JobsApi
from deployments.jobs.deployment import Jobs
from deployments.jobs.errors import JobFinished, JobNotFound, JobNotRetryable
from deployments.kit.errors import Forbidden, Invalid
from deployments.kit.principal import Principal
from eventing.jobs import Done, GiveUp, JobRun
from tests.eventing.jobs.harness import all_in, kind, order, reaches, serving


def principal(tenant_id: str = "acme", *scopes: str) -> Principal:
    return Principal(tenant_id, "usr_1", "user", scopes=frozenset(scopes or ("jobs:read", "jobs:write")))


@pytest.fixture
def jobs(database: Database) -> JobsApi:
    return Jobs(database)


async def test_a_job_is_shown_from_order_to_result(database: Database, jobs: JobsApi) -> None:
    """J2: state, progress, attempts with their errors, result."""

    async def run(job: JobRun) -> Done:
        await job.progress(412, 1058)
        return Done({"imported": 412})

    (job_id,) = await order(database, "acme")
    queued = await jobs.get(principal(), job_id)
    assert (queued.state, queued.attempts, queued.result, queued.progress.total) == ("queued", [], None, None)
    async with serving(database, kind(run)):
        await reaches(database, job_id, "succeeded")
    done = await jobs.get(principal(), job_id)
    assert (done.state, done.kind, done.result, done.created_by) == ("succeeded", "work", {"imported": 412}, "usr_1")
    assert (done.progress.done, done.progress.total) == (412, 1058)
    assert [attempt.error for attempt in done.attempts] == [None]
    assert done.finished_at is not None
    assert done.finished_at >= done.attempts[0].started_at >= done.created_at


async def test_the_list_has_pages_newest_first(database: Database, jobs: JobsApi) -> None:
    ids = await order(database, "acme", 5)
    await order(database, "globex", 2)
    first = await jobs.list_jobs(principal(), limit=3)
    assert [job.id for job in first.data] == ids[:1:-1]
    rest = await jobs.list_jobs(principal(), first.meta.next_cursor, 3)
    assert [job.id for job in rest.data] == ids[1::-1]
    assert rest.meta.next_cursor is None


async def test_the_list_can_be_filtered(database: Database, jobs: JobsApi) -> None:
    await order(database, "acme", 2)
    (other,) = await order(database, "acme", kind="other")
    await jobs.cancel(principal(), other)
    assert [job.id for job in (await jobs.list_jobs(principal(), kind="other")).data] == [other]
    assert [job.id for job in (await jobs.list_jobs(principal(), state="cancelled")).data] == [other]
    assert (await jobs.list_jobs(principal(), kind="work", state="cancelled")).data == []


async def test_a_forged_cursor_is_refused(jobs: JobsApi) -> None:
    with pytest.raises(Invalid):
        await jobs.list_jobs(principal(), "bm9uc2Vuc2U")


async def test_a_waiting_job_is_cancelled_at_once(database: Database, jobs: JobsApi) -> None:
    """J2: it never runs; cancelling twice is harmless."""
    ran: list[str] = []

    async def run(job: JobRun) -> None:
        ran.append(job.id)

    (cancelled,) = await order(database, "acme")
    assert (await jobs.cancel(principal(), cancelled)).state == "cancelled"
    assert (await jobs.cancel(principal(), cancelled)).state == "cancelled"
    (other,) = await order(database, "acme")
    async with serving(database, kind(run)):
        await reaches(database, other, "succeeded")
    assert ran == [other]


async def test_a_running_job_ends_at_its_next_progress(database: Database, jobs: JobsApi) -> None:
    """J2: cancelling a running job is cooperative."""
    entered = asyncio.Event()

    async def run(job: JobRun) -> None:
        while True:
            entered.set()
            await job.progress(1)
            await asyncio.sleep(0.01)

    async with serving(database, kind(run), lease_s=0.6):
        (job_id,) = await order(database, "acme")
        await asyncio.wait_for(entered.wait(), 10)
        assert (await jobs.cancel(principal(), job_id)).state == "running"
        await reaches(database, job_id, "cancelled")


async def test_a_finished_job_cannot_be_cancelled(database: Database, jobs: JobsApi) -> None:
    async def run(job: JobRun) -> None:
        if job.payload["n"] == 1:
            raise GiveUp("no")

    async with serving(database, kind(run)):
        ids = await order(database, "acme", 2)
        await all_in(database, ids, "succeeded", "failed")
    for job_id in ids:
        with pytest.raises(JobFinished) as raised:
            await jobs.cancel(principal(), job_id)
        assert raised.value.status == 409


async def test_a_failed_job_runs_again_with_all_its_attempts(database: Database, jobs: JobsApi) -> None:
    """J2: retry by hand; the history goes on."""
    broken = True
    attempts: list[int] = []

    async def run(job: JobRun) -> Done:
        attempts.append(job.attempt)
        if broken:
            raise GiveUp("not now")
        return Done({"ok": True})

    async with serving(database, kind(run)):
        (job_id,) = await order(database, "acme")
        await reaches(database, job_id, "failed")
        broken = False
        assert (await jobs.retry(principal(), job_id)).state == "queued"
        await reaches(database, job_id, "succeeded")
    job = await jobs.get(principal(), job_id)
    assert attempts == [1, 1]
    assert [attempt.error for attempt in job.attempts] == ["not now", None]
    assert job.error is None


async def test_a_cancelled_job_runs_again(database: Database, jobs: JobsApi) -> None:
    async def run(job: JobRun) -> None:
        await job.progress(1)

    (job_id,) = await order(database, "acme")
    await jobs.cancel(principal(), job_id)
    await jobs.retry(principal(), job_id)
    async with serving(database, kind(run)):
        await reaches(database, job_id, "succeeded")


async def test_only_failed_and_cancelled_jobs_can_be_retried(database: Database, jobs: JobsApi) -> None:
    async def run(_job: JobRun) -> None:
        return None

    (job_id,) = await order(database, "acme")
    with pytest.raises(JobNotRetryable):
        await jobs.retry(principal(), job_id)
    async with serving(database, kind(run)):
        await reaches(database, job_id, "succeeded")
    with pytest.raises(JobNotRetryable) as raised:
        await jobs.retry(principal(), job_id)
    assert raised.value.status == 409


@pytest.mark.parametrize("operation", ["get", "cancel", "retry"])
async def test_another_tenants_job_does_not_exist(database: Database, jobs: Any, operation: str) -> None:
    """T5: the same answer as for a job that nobody has, and nothing changes."""
    (job_id,) = await order(database, "acme")
    for stranger, unknown in ((principal("globex"), job_id), (principal(), "job_unknown")):
        with pytest.raises(JobNotFound) as raised:
            await getattr(jobs, operation)(stranger, unknown)
        assert raised.value.status == 404
    assert (await jobs.list_jobs(principal("globex"))).data == []
    assert (await jobs.get(principal(), job_id)).state == "queued"


async def test_each_operation_needs_its_scope(database: Database, jobs: JobsApi) -> None:
    (job_id,) = await order(database, "acme")
    reader, nobody = principal("acme", "jobs:read"), principal("acme", "forms:read")
    assert (await jobs.get(reader, job_id)).id == job_id
    for refused in (
        jobs.cancel(reader, job_id),
        jobs.retry(reader, job_id),
        jobs.get(nobody, job_id),
        jobs.list_jobs(nobody),
    ):
        with pytest.raises(Forbidden):
            await refused
