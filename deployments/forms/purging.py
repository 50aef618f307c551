"""The jobs that empty the trash: one for each form, and one a day that finds those whose time is over."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from functools import partial
from typing import Final

from db.repositories.form_data import FormDataRepository, tables_of_forms
from db.repositories.forms import TrashDirectory
from db.session import Database, UnitOfWork
from db.types import utc_now
from deployments.forms.service.drafts import forms_of
from deployments.forms.service.library import GRACE, PURGE, QUEUE, order_purge
from deployments.jobs.contracts import DAILY, Schedulable
from deployments.kit.objects import DERIVED, ObjectStore, object_key
from eventing.events.envelope import Origin
from eventing.events.forms import FormPurged
from eventing.jobs import LOWEST, Done, JobKind, JobRun, Retry
from eventing.outbox import record

PURGE_DUE: Final = "forms.purge_due"
SCHEDULABLE: Final = Schedulable(
    PURGE_DUE, "Purge forms whose time in the trash is over.", "platform:admin", QUEUE, priority=LOWEST, standing=DAILY
)
FOLDER: Final = "forms"
"""The files of a form are below `<tenant>/forms/<form id>/` in the object store."""

_ACTOR: Final = "system:forms"
_ROWS: Final = 500
_FORMS: Final = 100
_NATS_AWAY_S: Final = 30.0


class PurgeForm:
    """Deletes a form for good, in small transactions. What one of them did stays done: run again, it goes on there."""

    def __init__(self, database: Database, objects: ObjectStore, *, rows: int = _ROWS) -> None:
        self._database = database
        self._objects = objects
        self._rows = rows

    async def run(self, job: JobRun) -> Done:
        """Delete responses, files and events about them, then the form itself. Raises Retry while one of these events
        is still to be published."""
        tenant_id: str = job.tenant_id
        form_id: str = job.payload["form_id"]
        async with self._database.write(tenant_id) as unit:
            if await forms_of(unit).find_purged(form_id) is None:
                return Done()
        prefix = object_key(tenant_id, FOLDER, form_id)
        for name in tables_of_forms():
            await self._erase(job, partial(FormDataRepository.erase, name=name))
        await self._erase(job, FormDataRepository.erase_keys)
        for folder in (prefix, *(object_key(tenant_id, derived, form_id) for derived in DERIVED)):
            while count := await self._objects.delete_some(folder):
                await job.progress(job.done + count)
        async with self._database.read(tenant_id) as unit:
            # The relay would take them to the stream and to webhooks behind the purge.
            if await FormDataRepository(unit.session, tenant_id, form_id).has_unpublished():
                raise Retry("Events of the form are still to be published.", after_s=_NATS_AWAY_S)
        await self._erase(job, FormDataRepository.erase_repeated)
        await self._erase(job, FormDataRepository.erase_events)
        async with self._database.write(tenant_id) as unit:
            await _end(unit, form_id, prefix, job.created_by)
        return Done()

    async def _erase(self, job: JobRun, erase: Callable[..., Awaitable[int]]) -> None:
        count = self._rows
        while count:
            async with self._database.write(job.tenant_id) as unit:
                data = FormDataRepository(unit.session, job.tenant_id, job.payload["form_id"])
                count = await erase(data, limit=self._rows)
            await job.progress(job.done + count)


async def _end(unit: UnitOfWork, form_id: str, prefix: str, actor: str) -> None:
    repository = forms_of(unit)
    form = await repository.find_purged(form_id)
    if form is None:
        return
    await FormDataRepository(unit.session, unit.tenant, form_id).forget_objects(prefix)
    fact = FormPurged(form_id=form.id, slug=form.slug, responses=await repository.responses(form_id))
    await repository.remove(form)
    record(unit, fact, actor=actor, origin=Origin())


class PurgeDue:
    """Once a day: orders the purge of every form whose time in the trash is over, and of those whose purge failed."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def run(self, job: JobRun) -> Done:
        """Look for them, and order a purge for each."""
        cutoff = utc_now() - GRACE
        after: tuple[str, str] | None = None
        ordered = 0
        while due := await self._due(cutoff, after):
            for tenant_id, form_id in due:
                async with self._database.write(tenant_id) as unit:
                    ordered += await _begin(unit, form_id, cutoff)
                await job.progress(ordered)
            after = due[-1]
        return Done({"ordered": ordered})

    async def _due(self, cutoff: datetime, after: tuple[str, str] | None) -> list[tuple[str, str]]:
        async with self._database.unscoped_read() as unit:
            return await TrashDirectory(unit.session).due_in_any_tenant(cutoff, after, _FORMS)


async def _begin(unit: UnitOfWork, form_id: str, cutoff: datetime) -> bool:
    form = await forms_of(unit).find_anywhere(form_id)
    if form is not None:
        # Restored, and perhaps deleted again, since it was found.
        if form.deleted_at is None or form.deleted_at > cutoff:
            return False
        form.purge_started_at = utc_now()
    await order_purge(unit, form_id, _ACTOR)
    return True


def job_kinds(database: Database, objects: ObjectStore) -> tuple[JobKind, ...]:
    """The jobs of the trash. Theirs must get done, so they are tried for days."""
    form = PurgeForm(database, objects)
    return (
        JobKind(PURGE, QUEUE, form.run, max_attempts=500, soft_limit_s=3_300.0, hard_limit_s=3_600.0),
        JobKind(PURGE_DUE, QUEUE, PurgeDue(database).run, max_attempts=20),
    )
