"""Work that outlives its request."""

from pydantic import Field

from deployments.jobs.contracts import Job, JobState
from deployments.kit.contract import Page
from serve_app.edge.operations import Exchange, Operation, PageQuery, Reply


class JobsQuery(PageQuery):
    """Which jobs."""

    kind: str | None = Field(default=None, max_length=100, description="Only jobs of this kind.")
    state: JobState | None = Field(default=None, description="Only jobs in this state.")


async def list_jobs(x: Exchange) -> Reply:
    query: JobsQuery = x.query
    return Reply(await x.apis.jobs.list_jobs(x.principal, query.cursor, query.limit, query.kind, query.state))


async def get_job(x: Exchange) -> Reply:
    return Reply(await x.apis.jobs.get(x.principal, x.path["job_id"]))


async def cancel_job(x: Exchange) -> Reply:
    return Reply(await x.apis.jobs.cancel(x.principal, x.path["job_id"]))


async def retry_job(x: Exchange) -> Reply:
    return Reply(await x.apis.jobs.retry(x.principal, x.path["job_id"]))


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
        tag="Jobs",
        scope="jobs:read",
        handler=get_job,
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
)
