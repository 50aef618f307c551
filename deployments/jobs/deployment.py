"""The door of jobs: opens the unit of work, calls the rules, returns contracts."""

from db.models import jobs as tables
from db.session import Database
from deployments.jobs import service
from deployments.jobs.contracts import Job, JobAttempt, JobState, Progress
from deployments.kit.contract import Page, PageMeta
from deployments.kit.pagination import decode_cursor, encode_cursor
from deployments.kit.principal import Principal

_SORT = "-id"


class Jobs:
    """The state of work that outlives its request; satisfies `JobsApi`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def get(self, principal: Principal, job_id: str) -> Job:
        async with self._database.read(principal.tenant_id) as unit:
            return _to_job(await service.get(unit, principal, job_id))

    async def list_jobs(
        self,
        principal: Principal,
        cursor: str | None = None,
        limit: int = 20,
        kind: str | None = None,
        state: JobState | None = None,
    ) -> Page[Job]:
        before_id = decode_cursor(cursor, _SORT, 1)[0] if cursor else None
        async with self._database.read(principal.tenant_id) as unit:
            rows = await service.page(unit, principal, kind=kind, state=state, before_id=before_id, limit=limit + 1)
        next_cursor = encode_cursor(_SORT, [rows[limit - 1].id]) if len(rows) > limit else None
        return Page[Job](
            data=[_to_job(row) for row in rows[:limit]], meta=PageMeta(limit=limit, next_cursor=next_cursor)
        )

    async def cancel(self, principal: Principal, job_id: str) -> Job:
        async with self._database.write(principal.tenant_id) as unit:
            return _to_job(await service.cancel(unit, principal, job_id))

    async def retry(self, principal: Principal, job_id: str) -> Job:
        async with self._database.write(principal.tenant_id) as unit:
            return _to_job(await service.retry(unit, principal, job_id))


def _to_job(row: tables.Job) -> Job:
    return Job.model_validate(
        {
            "id": row.id,
            "kind": row.kind,
            "state": row.state,
            "progress": Progress(done=row.progress_done, total=row.progress_total),
            "attempts": [JobAttempt.model_validate(attempt) for attempt in row.attempts],
            "result": row.result,
            "error": row.error,
            "created_by": row.created_by,
            "created_at": row.created_at,
            "run_at": row.run_at,
            "finished_at": row.finished_at,
        }
    )
