"""What the tests of the job queue share."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

from sqlalchemy import select

from db.models.jobs import Job
from db.session import Database
from eventing.jobs import JobKind, JobRun, JobRunner, JobSpec, enqueue, jobs_topic
from tests.eventing.harness import eventually

Code = Callable[[JobRun], Awaitable[Any]]


def kind(run: Code, name: str = "work", **options: Any) -> JobKind:
    return JobKind(name, **{"queue": "default", "run": run, "delays": (0.01,), **options})


async def order(database: Database, tenant_id: str, number: int = 1, **options: Any) -> list[str]:
    """Enqueue jobs in one transaction; their ids."""
    async with database.write(tenant_id) as unit:
        return [
            await enqueue(unit, JobSpec(**{"kind": "work", "payload": {"n": n}, "created_by": "usr_1", **options}))
            for n in range(number)
        ]


async def fetch(database: Database, job_id: str) -> Job:
    async with database.unscoped_read() as unit:
        return (await unit.session.scalars(select(Job).where(Job.id == job_id))).one()  # type: ignore[arg-type]


async def reaches(database: Database, job_id: str, state: str) -> Job:
    """The job, once it is in `state`."""

    async def reached() -> bool:
        return (await fetch(database, job_id)).state == state

    await eventually(reached)
    return await fetch(database, job_id)


async def all_in(database: Database, job_ids: Iterable[str], *states: str) -> None:
    wanted = set(job_ids)

    async def reached() -> bool:
        async with database.unscoped_read() as unit:
            rows = await unit.session.execute(select(Job.id, Job.state))  # type: ignore[call-overload]
            return {job_id for job_id, state in rows if state in states} >= wanted

    await eventually(reached)


@asynccontextmanager
async def serving(
    database: Database, *kinds: JobKind, queues: dict[str, int] | None = None, **options: Any
) -> AsyncIterator[JobRunner]:
    """A running runner that hears of this process's commits."""
    runner = JobRunner(database, queues or {"default": 4}, kinds, **{"poll_s": 0.1, **options})

    def heard(topics: frozenset[str]) -> None:
        for queue in queues or ("default",):
            if jobs_topic(queue) in topics:
                partial(runner.nudge, queue)()

    database.listen(heard)
    task = asyncio.create_task(runner.run())
    try:
        yield runner
    finally:
        await runner.stop(timeout_s=2)
        task.cancel()
        await asyncio.wait({task})
