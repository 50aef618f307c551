"""A job belongs to one worker at a time, whatever becomes of the worker; on both databases."""

import asyncio
import signal
import sys
from collections import Counter
from datetime import timedelta

from sqlalchemy import update
from sqlmodel import col

from db.models.events import Event as EventRow
from db.models.jobs import Job
from db.session import Database, UnitOfWork
from db.types import utc_now
from eventing.jobs import Done, JobCancelled, JobRun, JobRunner
from tests.eventing.harness import count, eventually
from tests.eventing.jobs.harness import all_in, fetch, kind, order, reaches, serving


async def test_two_runners_never_run_a_job_twice(database: Database) -> None:
    """J1: while the lease holds, a job belongs to one worker."""
    runs: Counter[str] = Counter()

    async def run(job: JobRun) -> None:
        runs[job.id] += 1
        await asyncio.sleep(0)

    async with (
        serving(database, kind(run), queues={"default": 8}) as one,
        serving(database, kind(run), queues={"default": 8}) as two,
    ):
        ids = [*await order(database, "acme", 150), *await order(database, "globex", 150)]
        await all_in(database, ids, "succeeded")
    assert one.counters["succeeded"] + two.counters["succeeded"] == 300
    assert set(runs.values()) == {1}
    assert len(runs) == 300


async def test_a_job_of_a_dead_worker_runs_again(database: Database) -> None:
    """J1: redelivered when the lease runs out; the lost attempt is counted and shown."""
    stuck = asyncio.Event()

    async def die(_job: JobRun) -> None:
        stuck.set()
        await asyncio.Event().wait()

    dead = JobRunner(database, {"default": 1}, [kind(die)], lease_s=0.3)
    task = asyncio.create_task(dead.run())
    (job_id,) = await order(database, "acme")
    await asyncio.wait_for(stuck.wait(), 10)
    for loop in dead._loops:  # as if the process were gone: nobody renews the lease, nobody gives the job back
        loop.cancel()
    await asyncio.wait({task})

    seen: list[int] = []

    async def run(job: JobRun) -> None:
        seen.append(job.attempt)

    async with serving(database, kind(run)) as runner:
        job = await reaches(database, job_id, "succeeded")
    assert runner.counters["recovered"] == 1
    assert seen == [2]
    assert [attempt["error"] for attempt in job.attempts] == ["the worker was lost", None]
    for lane in dead._lanes.values():
        for execution in lane.tasks:
            execution.cancel()


KILLS_ITS_WORKER = """
import asyncio, os, signal, sys
from db.session import Database
from db.settings import DatabaseSettings
from eventing.jobs import JobKind, JobRunner

async def main():
    async def run(job):
        os.kill(os.getpid(), signal.SIGKILL)
    database = Database(DatabaseSettings(url=sys.argv[1]))
    await JobRunner(database, {"default": 1}, [JobKind("work", "default", run)], lease_s=1.0).run()

asyncio.run(main())
"""


async def test_a_job_survives_the_death_of_its_process(database: Database) -> None:
    """J1: the worker is killed (SIGKILL) inside the job; another takes over when the lease runs out."""
    (job_id,) = await order(database, "acme")
    worker = await asyncio.create_subprocess_exec(
        sys.executable, "-c", KILLS_ITS_WORKER, database.settings.url, stderr=asyncio.subprocess.DEVNULL
    )
    assert await asyncio.wait_for(worker.wait(), 60) == -signal.SIGKILL
    assert (await fetch(database, job_id)).state == "running"

    async def run(job: JobRun) -> Done:
        return Done({"attempt": job.attempt})

    async with serving(database, kind(run)):
        job = await reaches(database, job_id, "succeeded")
    assert job.result == {"attempt": 2}


SAYS_AND_WAITS = """
import asyncio, sys
from db.session import Database
from db.settings import DatabaseSettings
from eventing.jobs import Done, JobKind, JobRunner

async def main():
    async def run(job):
        print("begun", flush=True)
        await asyncio.to_thread(sys.stdin.readline)
        print("done", flush=True)
        return Done({"by": "the worker that was stopped"})
    database = Database(DatabaseSettings(url=sys.argv[1]))
    await JobRunner(database, {"default": 1}, [JobKind("work", "default", run)], lease_s=1.0).run()

asyncio.run(main())
"""


async def test_a_worker_that_was_stopped_meanwhile_changes_nothing(database: Database) -> None:
    """J1: stopped (SIGSTOP) longer than its lease, it goes on (SIGCONT) while another has done the job."""
    (job_id,) = await order(database, "acme")
    pipe = asyncio.subprocess.PIPE
    worker = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", SAYS_AND_WAITS, database.settings.url),
        stdin=pipe,
        stdout=pipe,
        stderr=asyncio.subprocess.DEVNULL,
    )
    assert worker.stdin is not None
    assert worker.stdout is not None
    try:
        assert await asyncio.wait_for(worker.stdout.readline(), 60) == b"begun\n"
        worker.send_signal(signal.SIGSTOP)

        async def run(job: JobRun) -> Done:
            return Done({"attempt": job.attempt})

        async with serving(database, kind(run)):
            await reaches(database, job_id, "succeeded")
        worker.stdin.write(b"\n")
        worker.send_signal(signal.SIGCONT)
        assert await asyncio.wait_for(worker.stdout.readline(), 60) == b"done\n"
        # Only when its end was dealt with does it take the next job.
        (other_id,) = await order(database, "acme")
        assert await asyncio.wait_for(worker.stdout.readline(), 60) == b"begun\n"
        assert (await fetch(database, other_id)).state == "running"
        job = await fetch(database, job_id)
        assert (job.state, job.attempt, job.result) == ("succeeded", 2, {"attempt": 2})
        assert [attempt["error"] for attempt in job.attempts] == ["the worker was lost", None]
    finally:
        worker.kill()
        await worker.wait()


async def test_a_job_that_kills_its_workers_fails_in_the_end(database: Database) -> None:
    """E4: the attempts of dead workers are counted like any other; the fact is recorded."""
    (job_id, other_id) = await order(database, "acme", 2)
    (foreign_id,) = await order(database, "globex")
    async with database.unscoped_write() as unit:
        await unit.session.execute(
            update(Job).values(
                state="running", attempt=3, worker="gone", started_at=utc_now(),
                lease_until=utc_now() - timedelta(seconds=1),
            )
        )  # fmt: skip
        await unit.session.execute(update(Job).where(col(Job.id) == other_id).values(attempt=1))

    async def run(_job: JobRun) -> None:
        return None

    async with serving(database, kind(run)):
        job = await reaches(database, job_id, "failed")
        await reaches(database, foreign_id, "failed")
        await reaches(database, other_id, "succeeded")
    assert job.error == "the worker was lost"
    assert await count(database, EventRow, col(EventRow.type) == "job.failed") == 2


async def test_leases_are_renewed_while_a_job_runs(database: Database) -> None:
    """A job may take many times its lease; nobody else gets it."""
    release = asyncio.Event()
    runs: list[str] = []

    async def run(job: JobRun) -> None:
        runs.append(job.id)
        await release.wait()

    async with serving(database, kind(run), lease_s=0.6), serving(database, kind(run), lease_s=0.6):
        (job_id,) = await order(database, "acme")
        await reaches(database, job_id, "running")
        first = (await fetch(database, job_id)).lease_until
        assert first is not None

        async def renewed_twice() -> bool:
            now = (await fetch(database, job_id)).lease_until
            return now is not None and now - first > timedelta(seconds=1)

        await eventually(renewed_twice)
        release.set()
        await reaches(database, job_id, "succeeded")
    assert runs == [job_id]


async def test_a_worker_that_lost_its_lease_writes_nothing(database: Database) -> None:
    """The fence: another worker took the job over, so this one's end, effect and progress do not count."""
    entered, release = asyncio.Event(), asyncio.Event()
    ended: list[str] = []
    effects: list[str] = []

    async def effect(_unit: UnitOfWork) -> None:
        effects.append("of the old worker")

    async def run(job: JobRun) -> Done:
        entered.set()
        await release.wait()
        try:
            await job.progress(9, 9)
        except JobCancelled:
            ended.append(job.id)
        return Done({"by": "the old worker"}, effect)

    async with serving(database, kind(run), lease_s=60) as runner:
        (job_id,) = await order(database, "acme")
        await asyncio.wait_for(entered.wait(), 10)
        async with database.unscoped_write() as unit:
            await unit.session.execute(update(Job).values(worker="another", attempt=2))
        release.set()

        async def idle() -> bool:
            return runner.running == 0

        await eventually(idle)
    job = await fetch(database, job_id)
    assert (ended, effects) == ([job_id], [])
    assert (job.state, job.worker, job.result, job.progress_done) == ("running", "another", None, 0)
