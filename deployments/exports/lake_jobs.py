"""The jobs of the lake: one for a form, one a day that finds the forms that changed, and one that forgets people."""

from typing import Final

from db.repositories.lake import LakeDirectory
from db.session import Database
from db.types import utc_now
from deployments.exports import service
from deployments.exports.contracts import FORGET
from deployments.exports.lake import Lake
from deployments.exports.places import lake_folder
from deployments.jobs.contracts import DAILY, Schedulable
from deployments.kit.errors import DeadlineExceeded, NotFound, Unavailable
from deployments.kit.features import is_enabled, settings_of
from deployments.kit.made_files import QUEUE
from deployments.kit.making import AGAIN_S, ForgetFiles
from deployments.kit.objects import ObjectStore
from deployments.reports.contracts import FORGET as FORGET_REPORTS
from deployments.responses.contracts import METADATA, ResponsesApi
from eventing.jobs import LOWEST, Done, GiveUp, JobKind, JobRun, JobSpec, Retry, enqueue

RENEW: Final = "exports.lake"
RENEW_DUE: Final = "exports.lake_due"
SCHEDULABLE: Final = Schedulable(
    RENEW_DUE, "Bring the lake up to date.", "platform:admin", QUEUE, priority=LOWEST, standing=DAILY
)

_ACTOR: Final = "system:exports"
_FORMS: Final = 200
_SOFT_S: Final = 3_300.0
_HARD_S: Final = 3_600.0


class RenewTable:
    """Brings a form's table in the lake up to date."""

    def __init__(self, lake: Lake) -> None:
        self._lake = lake

    async def run(self, job: JobRun) -> Done:
        """Raises GiveUp when the form is gone, Retry when its responses cannot be read now."""
        try:
            return Done(dict(await self._lake.renew(job, job.payload["form_id"])))
        except NotFound as error:
            raise GiveUp("The form is not there any more.") from error
        except (Unavailable, DeadlineExceeded) as error:
            raise Retry(error.detail, after_s=error.retry_after or AGAIN_S) from error


class RenewDue:
    """Once a day: orders the tables of the forms that changed, of tenants that have a lake."""

    def __init__(self, database: Database, *, is_on: bool) -> None:
        self._database = database
        self._is_on = is_on

    async def run(self, job: JobRun) -> Done:
        """Order them all; none where the lake is switched off."""
        if not self._is_on:
            return Done({"ordered": 0})
        after, ordered = ("", ""), 0
        while due := await self._due(after):
            for tenant_id, form_id in due:
                ordered += await self._order(tenant_id, form_id)
                await job.progress(ordered)
            after = due[-1]
        return Done({"ordered": ordered})

    async def _due(self, after: tuple[str, str]) -> list[tuple[str, str]]:
        async with self._database.unscoped_read() as unit:
            return list(await LakeDirectory(unit.session).due_in_any_tenant(after, _FORMS, METADATA))

    async def _order(self, tenant_id: str, form_id: str) -> bool:
        async with self._database.write(tenant_id) as unit:
            if not is_enabled(await settings_of(unit), "lake"):
                return False
            key = f"{RENEW}:{form_id}:{utc_now().date().isoformat()}"
            await enqueue(unit, JobSpec(RENEW, {"form_id": form_id}, _ACTOR, key, queue=QUEUE))
        return True


class ForgetResponses:
    """Takes responses that were removed for good out of what was made of them: see `contracts.FORGET`."""

    def __init__(self, database: Database, objects: ObjectStore, lake: Lake) -> None:
        self._database = database
        self._objects = objects
        self._lake = lake
        self._exports = ForgetFiles(service.FILES, database, objects)

    async def run(self, job: JobRun) -> Done:
        """Remove the form's exports, have its reports removed, and write the months of the responses anew without a
        trace of the old files."""
        form_id: str = job.payload["form_id"]
        async with self._database.write(job.tenant_id) as unit:
            key = f"{FORGET_REPORTS}:{job.id}"
            await enqueue(unit, JobSpec(FORGET_REPORTS, {"form_id": form_id}, _ACTOR, key))

        async def go_on(_removed: int) -> None:
            await job.progress(job.done, job.total)

        removed = await self._exports.of_form(job.tenant_id, form_id, go_on)
        has_table = False
        async for _ in self._objects.below(lake_folder(job.tenant_id, form_id)):
            has_table = True
            break
        if has_table:
            try:
                await self._lake.renew(job, form_id, without=job.payload["response_ids"])
            except NotFound as error:
                raise GiveUp("The form is not there any more; its files go with it.") from error
            except (Unavailable, DeadlineExceeded) as error:
                raise Retry(error.detail, after_s=error.retry_after or AGAIN_S) from error
        return Done({"exports": removed})


def job_kinds(
    database: Database, objects: ObjectStore, responses: ResponsesApi, *, is_on: bool = True
) -> tuple[JobKind, ...]:
    """The jobs of the lake; `is_on` says whether it is written day by day."""
    lake = Lake(database, objects, responses)
    forget = ForgetResponses(database, objects, lake)
    return (
        JobKind(RENEW, QUEUE, RenewTable(lake).run, max_attempts=10, soft_limit_s=_SOFT_S, hard_limit_s=_HARD_S),
        JobKind(
            RENEW_DUE,
            QUEUE,
            RenewDue(database, is_on=is_on).run,
            max_attempts=20,
            soft_limit_s=_SOFT_S,
            hard_limit_s=_HARD_S,
        ),
        JobKind(FORGET, QUEUE, forget.run, max_attempts=500, soft_limit_s=_SOFT_S, hard_limit_s=_HARD_S),
    )
