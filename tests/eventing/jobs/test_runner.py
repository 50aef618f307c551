"""Limits, cancellation, turns and draining of the job runner, on both databases."""

import asyncio
import re
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from sqlalchemy import Connection, event, insert, update

from benchmarks.databases import analyze
from db.errors import DatabaseUnavailable
from db.models.jobs import Job
from db.repositories import job_claims as claims
from db.session import Database
from db.types import new_id, utc_now
from eventing.jobs import Done, JobRun, JobRunner, SoftLimitExceeded
from eventing.jobs import runner as runner_module
from tests.eventing.harness import eventually
from tests.eventing.jobs.harness import all_in, fetch, kind, order, reaches, serving


async def test_a_running_job_is_cancelled_at_its_next_progress(database: Database) -> None:
    """J2: cooperative cancellation, noticed by the heartbeat or by the write of the progress."""
    entered = asyncio.Event()

    async def run(job: JobRun) -> None:
        for step in range(10_000):
            entered.set()
            await job.progress(step, 10_000)
            await asyncio.sleep(0.01)

    async with serving(database, kind(run), lease_s=0.6) as runner:
        (job_id,) = await order(database, "acme")
        await asyncio.wait_for(entered.wait(), 10)
        async with database.unscoped_write() as unit:
            await unit.session.execute(update(Job).values(cancel_requested=True))
        job = await reaches(database, job_id, "cancelled")
    assert runner.counters["cancelled"] == 1
    assert job.progress_total == 10_000
    assert job.attempts[-1]["error"] == "the job was cancelled"


async def test_progress_is_shown_and_throttled(database: Database) -> None:
    """J2: progress while it runs, exact at the end, a few writes for thousands of calls."""
    entered, release = asyncio.Event(), asyncio.Event()

    async def run(job: JobRun) -> None:
        await job.progress(1, 5000)
        entered.set()
        await release.wait()
        for step in range(2, 5001):
            await job.progress(step, 5000)

    async with serving(database, kind(run)):
        (job_id,) = await order(database, "acme")
        await asyncio.wait_for(entered.wait(), 10)
        job = await fetch(database, job_id)
        assert (job.state, job.progress_done, job.progress_total) == ("running", 1, 5000)
        release.set()
        job = await reaches(database, job_id, "succeeded")
    assert (job.progress_done, job.progress_total) == (5000, 5000)


async def test_the_hard_limit_ends_the_attempt(database: Database) -> None:
    """J1: the code is cancelled; the attempt counts as failed; the place is free again."""

    async def run(_job: JobRun) -> None:
        await asyncio.Event().wait()

    async with serving(database, kind(run, max_attempts=1, hard_limit_s=0.1), queues={"default": 1}):
        (job_id,) = await order(database, "acme")
        job = await reaches(database, job_id, "failed")
    assert job.error == "the time limit of 0.1 s was reached"


async def test_the_soft_limit_is_told_to_the_job(database: Database) -> None:
    """J1: the job hears of it with its progress and has time to tidy up."""
    tidied = asyncio.Event()

    async def run(job: JobRun) -> None:
        assert job.remaining == 0
        try:
            await job.progress(1)
        except SoftLimitExceeded:
            tidied.set()
            raise

    async with serving(database, kind(run, max_attempts=1, soft_limit_s=0)):
        (job_id,) = await order(database, "acme")
        job = await reaches(database, job_id, "failed")
    assert tidied.is_set()
    assert job.error == "the soft time limit is over"


async def test_a_noisy_tenant_does_not_starve_a_quiet_one(database: Database) -> None:
    """J4: tenants take turns, and one tenant never has all places."""
    started: list[str] = []
    gate = asyncio.Semaphore(0)

    async def run(job: JobRun) -> None:
        started.append(job.tenant_id)
        await gate.acquire()

    noisy = await order(database, "noisy", 60)
    async with serving(database, kind(run), queues={"default": 4}):

        async def noisy_has_its_share() -> bool:
            return len(started) == 3

        await eventually(noisy_has_its_share)
        quiet = await order(database, "quiet", 3)

        async def quiet_has_started() -> bool:
            return started.count("quiet") == 1

        await eventually(quiet_has_started)
        assert started == ["noisy"] * 3 + ["quiet"]
        for _ in range(20):
            gate.release()
        await all_in(database, quiet, "succeeded")
        for _ in noisy:
            gate.release()
        await all_in(database, noisy, "succeeded")
    assert max(index for index, tenant in enumerate(started) if tenant == "quiet") < 20


async def test_a_nudge_starts_a_job_long_before_the_poll(database: Database) -> None:
    ran = asyncio.Event()

    async def run(_job: JobRun) -> None:
        ran.set()

    async with serving(database, kind(run), poll_s=60):
        await asyncio.sleep(0)
        await order(database, "acme")
        await asyncio.wait_for(ran.wait(), 10)


async def test_a_claim_takes_no_more_than_it_was_asked_for(database: Database) -> None:
    """J4: limit and share hold exactly, and tenants take turns within one claim."""
    await order(database, "noisy", 40)
    await order(database, "quiet", 2)

    async def claim(limit: int, per_tenant: int) -> list[str]:
        now = utc_now()
        jobs = await database.transact(
            partial(
                claims.claim,
                queue="default",
                places={"work": 100},
                worker="w",
                now=now,
                until=now + timedelta(seconds=30),
                limit=limit,
                per_tenant=per_tenant,
            )
        )
        return sorted(job.tenant_id for job in jobs)

    assert await claim(1, 3) == ["noisy"]
    assert await claim(1, 3) == ["quiet"]
    assert await claim(4, 3) == ["noisy", "noisy", "quiet"]
    assert await claim(4, 3) == []


async def test_unknown_kinds_and_other_queues_are_left_alone(database: Database) -> None:
    """A runner of an older version must not take what it cannot do."""

    async def run(_job: JobRun) -> None:
        return None

    async with serving(database, kind(run), kind(run, "heavy", queue="batch")):
        (unknown,) = await order(database, "acme", kind="newer")
        (heavy,) = await order(database, "acme", kind="heavy", queue="batch")
        (known,) = await order(database, "acme")
        await reaches(database, known, "succeeded")
    assert (await fetch(database, unknown)).state == "queued"
    assert (await fetch(database, heavy)).state == "queued"


async def test_stop_waits_for_short_jobs_and_gives_long_ones_back(database: Database) -> None:
    """J1: a deployment costs no attempt and no wait for the lease."""
    entered = asyncio.Queue[int]()
    finish = asyncio.Event()

    async def run(job: JobRun) -> None:
        entered.put_nowait(job.payload["n"])
        await (finish.wait() if job.payload["n"] == 0 else asyncio.Event().wait())

    runner = JobRunner(database, {"default": 4}, [kind(run)], poll_s=0.1)
    task = asyncio.create_task(runner.run())
    short, long = await order(database, "acme", 2)
    async with asyncio.timeout(10):
        assert {await entered.get(), await entered.get()} == {0, 1}
    finish.set()
    await runner.stop(timeout_s=0.5)
    await asyncio.wait({task})
    assert (await fetch(database, short)).state == "succeeded"
    left = await fetch(database, long)
    assert (left.state, left.attempt, left.worker, left.attempts) == ("queued", 0, None, [])


async def test_an_end_waits_until_the_database_answers_again(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def run(_job: JobRun) -> Done:
        return Done({"n": 1})

    monkeypatch.setattr(runner_module, "_POLL_S", 0.05)
    failures = 2
    async with serving(database, kind(run)) as runner:
        add = runner._completions.add

        async def refuse_twice(settlement):  # type: ignore[no-untyped-def]
            nonlocal failures
            if failures:
                failures -= 1
                raise DatabaseUnavailable("connection refused")
            await add(settlement)

        monkeypatch.setattr(runner._completions, "add", refuse_twice)
        (job_id,) = await order(database, "acme")
        job = await reaches(database, job_id, "succeeded")
    assert job.attempt == 1


async def finished(database: Database, tenant_id: str, number: int) -> None:
    """Jobs that were done long ago."""
    [ordered] = await order(database, tenant_id)
    done = (await fetch(database, ordered)).model_dump() | {"state": "succeeded"}
    async with database.write(tenant_id) as unit:
        await unit.session.execute(insert(Job), [{**done, "id": new_id("job")} for _ in range(number - 1)])
        await unit.session.execute(update(Job).values(state="succeeded"))


async def test_claims_stay_cheap_beside_finished_jobs(database: Database) -> None:
    """J5: neither the search for work nor the claim looks at finished jobs."""
    # So many that reading all is dearer than the index, however few pages they fill.
    await finished(database, "acme", 20_000)
    await order(database, "acme", 20)
    await analyze(database.settings)
    seen: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        if "job_pause" in statement:
            seen.append((statement, parameters))

    explain = "EXPLAIN QUERY PLAN " if database.is_sqlite else "EXPLAIN "
    plans: list[str] = []

    def explained(connection: Connection) -> None:
        event.listen(connection, "before_cursor_execute", note)
        claims.has_work(connection, "default", utc_now())
        claims.depth_of(connection, "default", utc_now())
        taken = claims.claim(
            connection, "default", {"work": 9}, "w", now=utc_now(), until=utc_now(), limit=9, per_tenant=9
        )
        assert len(taken) == 9
        event.remove(connection, "before_cursor_execute", note)
        for statement, parameters in seen:
            plans.append("\n".join(str(row) for row in connection.exec_driver_sql(explain + statement, parameters)))

    await database.transact(explained)
    assert len(plans) == 3
    for plan in plans:
        assert "ix_job_due" in plan
        # SQLite names tables by what the statement calls them; none may be read from end to end, but the index of those
        # that run. It compares the first of several columns only to find where to begin, and then goes through all.
        scans = r"Seq Scan on job\b|SCAN (job|after|due|waiting|locked|following)\b(?! USING INDEX ix_job_running)"
        assert not re.search(scans, plan), plan
        assert not (database.is_sqlite and "(tenant_id,kind,priority)>" in plan), plan
