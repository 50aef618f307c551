"""Work that outlives its request, and its queues."""

import asyncio
from datetime import datetime

from pydantic import AwareDatetime, Field

from deployments.jobs.contracts import Job, JobState, PauseOrder, QueueState, ResumeOrder
from deployments.kit.contract import Contract, Page
from serve_app.edge.operations import Exchange, Operation, PageQuery, Reply

_LONGEST_WAIT_S = 30
_FIRST_PAUSE_S = 0.1
_LONGEST_PAUSE_S = 1.0


class JobsQuery(PageQuery):
    """Which jobs."""

    kind: str | None = Field(default=None, max_length=100, description="Only jobs of this kind.")
    state: JobState | None = Field(default=None, description="Only jobs in this state.")
    queue: str | None = Field(default=None, max_length=100, description="Only jobs of this queue.")
    created_since: AwareDatetime | None = Field(default=None, description="Only jobs ordered then or later.")


class JobQuery(Contract):
    """How long to wait for the job."""

    wait: float = Field(
        default=0, ge=0, le=_LONGEST_WAIT_S, description="Seconds to wait for the end of the job, at most."
    )


async def list_jobs(x: Exchange) -> Reply:
    query: JobsQuery = x.query
    since: datetime | None = query.created_since
    page = await x.apis.jobs.list_jobs(
        x.principal, query.cursor, query.limit, query.kind, query.state, query.queue, since
    )
    return Reply(page)


async def get_job(x: Exchange) -> Reply:
    """Asks now and then: a call that waited in the context would take its place from others."""
    query: JobQuery = x.query
    loop = asyncio.get_running_loop()
    ends_at, pause = loop.time() + min(query.wait, _LONGEST_WAIT_S), _FIRST_PAUSE_S
    job = await x.apis.jobs.get(x.principal, x.path["job_id"])
    while (left := ends_at - loop.time()) > 0 and not job.is_over:
        await asyncio.sleep(min(pause, left))
        pause = min(pause * 1.5, _LONGEST_PAUSE_S)
        job = await x.apis.jobs.get(x.principal, x.path["job_id"])
    return Reply(job)


async def cancel_job(x: Exchange) -> Reply:
    return Reply(await x.apis.jobs.cancel(x.principal, x.path["job_id"]))


async def retry_job(x: Exchange) -> Reply:
    return Reply(await x.apis.jobs.retry(x.principal, x.path["job_id"]))


async def list_queues(x: Exchange) -> Reply:
    return Reply(Queues(data=await x.apis.jobs.list_queues(x.principal)))


async def pause_queue(x: Exchange) -> Reply:
    return Reply(await x.apis.jobs.pause_queue(x.principal, x.body))


async def resume_queue(x: Exchange) -> Reply:
    return Reply(await x.apis.jobs.resume_queue(x.principal, x.body))


class Queues(Contract):
    """Every queue."""

    data: list[QueueState]


OPERATIONS = (
    Operation(
        id="list_jobs",
        method="GET",
        path="/api/v1/jobs",
        summary="The tenant's jobs, newest first",
        tag="Jobs",
        scope="jobs:read",
        handler=list_jobs,
        query=JobsQuery,
        response=Page[Job],
    ),
    Operation(
        id="get_job",
        method="GET",
        path="/api/v1/jobs/{job_id}",
        summary="A job: state, progress, attempts, result",
        description="With `wait` the answer comes when the job is over, or when that time is.",
        tag="Jobs",
        scope="jobs:read",
        handler=get_job,
        query=JobQuery,
        response=Job,
    ),
    Operation(
        id="cancel_job",
        method="POST",
        path="/api/v1/jobs/{job_id}/cancel",
        summary="Cancel a job",
        tag="Jobs",
        scope="jobs:write",
        handler=cancel_job,
        response=Job,
        errors=(409,),
    ),
    Operation(
        id="retry_job",
        method="POST",
        path="/api/v1/jobs/{job_id}/retry",
        summary="Run a failed job again",
        tag="Jobs",
        scope="jobs:write",
        handler=retry_job,
        response=Job,
        errors=(409,),
    ),
    Operation(
        id="list_queues",
        method="GET",
        path="/api/v1/queues",
        summary="The queues of jobs: what waits, what runs, what is paused",
        description="A tenant sees its own jobs, a platform administrator those of all tenants.",
        tag="Jobs",
        scope="jobs:read",
        handler=list_queues,
        response=Queues,
    ),
    Operation(
        id="pause_queue",
        method="POST",
        path="/api/v1/queues/pause",
        summary="Start no more jobs of a queue, or of one kind in it",
        description="What runs ends. Orders are taken and wait. A platform administrator pauses it for every tenant.",
        tag="Jobs",
        scope="tenant:write",
        handler=pause_queue,
        request=PauseOrder,
        response=QueueState,
        example={"queue": "default", "kind": "webhook.deliver", "reason": "the receiver moves"},
    ),
    Operation(
        id="resume_queue",
        method="POST",
        path="/api/v1/queues/resume",
        summary="Go on with what was paused",
        tag="Jobs",
        scope="tenant:write",
        handler=resume_queue,
        request=ResumeOrder,
        response=QueueState,
        errors=(409,),
        example={"queue": "default", "kind": "webhook.deliver"},
    ),
)
