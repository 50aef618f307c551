"""Having models look again: at all responses of a form, or those that a filter finds."""

from typing import Final

from db.repositories.published_forms import PublishedFormRepository
from db.session import Database, UnitOfWork
from deployments.inference.enrichment.marking import QUEUE, tasks_of, wake
from deployments.inference.enrichment_contracts import Enrichment, JudgedBy, OrderEnrichment
from deployments.inference.errors import FormNotFound, NothingConfigured
from deployments.kit.enrichment import VECTOR, EnrichmentPolicy
from deployments.kit.principal import Principal
from deployments.responses.contracts import ListResponses, ResponsesApi
from eventing.jobs import Done, JobKind, JobRun, JobSpec, enqueue

RESCORE: Final = "inference.rescore"
_AT_ONCE: Final = 1_000


async def require_form(unit: UnitOfWork, form_id: str) -> None:
    """Raise FormNotFound unless the form is there."""
    if not await PublishedFormRepository(unit.session, unit.tenant).exists(form_id):
        raise FormNotFound


async def progress(unit: UnitOfWork, form_id: str) -> Enrichment:
    """How far models are. Raises FormNotFound."""
    await require_form(unit, form_id)
    tasks = tasks_of(unit)
    form = await tasks.form(form_id)
    policy = EnrichmentPolicy.of(form.settings) if form is not None else None
    wanted = [(field, name) for name, _, fields in policy.choices() for field in fields] if policy is not None else []
    judged = [each for each in wanted if each[1] != VECTOR]
    embedded = [field for field, name in wanted if name == VECTOR]
    total, waiting, failed = await tasks.counts(form_id)
    unseen = await tasks.unseen(form_id, judged, embedded)
    return Enrichment(
        total=total,
        done=max(0, total - waiting - failed - unseen),
        waiting=waiting,
        failed=failed,
        unseen=unseen,
        errors=await tasks.failures(form_id) if failed else {},
        versions=[
            JudgedBy(field=each.field, name=each.name, model=each.model, answers=each.count)
            for each in await tasks.versions(form_id)
        ],
    )


async def order(unit: UnitOfWork, principal: Principal, form_id: str, command: OrderEnrichment) -> str:
    """The id of the job. Raises FormNotFound, NothingConfigured."""
    await require_form(unit, form_id)
    if not await tasks_of(unit).wanting([form_id]):
        raise NothingConfigured
    payload = {"form_id": form_id, **command.model_dump(mode="json")}
    return await enqueue(unit, JobSpec(RESCORE, payload, principal.subject, queue=QUEUE))


class Rescore:
    """Marks responses, page by page. Again is no harm."""

    def __init__(self, database: Database, responses: ResponsesApi) -> None:
        self._database = database
        self._responses = responses

    async def run(self, job: JobRun) -> Done:
        """Mark them all, and see to it that a job does the work."""
        form_id, marked, after = job.payload["form_id"], 0, ""
        while True:
            ids, following = await self._page(job, form_id, after)
            async with self._database.write(job.tenant_id) as unit:
                marked += await tasks_of(unit).mark(form_id, ids) if ids else 0
                await wake(unit)
            await job.progress(marked)
            if following is None:
                return Done({"responses": marked})
            after = following

    async def _page(self, job: JobRun, form_id: str, after: str) -> tuple[list[str], str | None]:
        filter_, where = job.payload["filter"], job.payload["where"]
        if not filter_ and where is None:
            async with self._database.read(job.tenant_id) as unit:
                ids = list(await tasks_of(unit).ids(form_id, after, _AT_ONCE))
            return ids, ids[-1] if len(ids) == _AT_ONCE else None
        query = ListResponses(
            form_id=form_id, filter=filter_, where=where, fields=[], cursor=after or None, limit=_AT_ONCE
        )
        page = await self._responses.list_responses(Principal.system(job.tenant_id, "inference"), query)
        return [response.id for response in page.data], page.meta.next_cursor


def job_kinds(database: Database, responses: ResponsesApi) -> tuple[JobKind, ...]:
    """The job of this work."""
    run = Rescore(database, responses).run
    return (JobKind(RESCORE, QUEUE, run, max_attempts=5, soft_limit_s=3_300.0, hard_limit_s=3_600.0),)
