"""The jobs of imports: bring a file in, and remove it afterwards."""

import asyncio
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from db.repositories.storage import StorageRepository
from db.session import UnitOfWork
from deployments.forms.contracts import CreateForm, Form, FormsApi
from deployments.imports.contracts import StartImport
from deployments.imports.errors import FormDiffers
from deployments.imports.formats import READERS
from deployments.imports.report import MAX_SAMPLE, Tally, outcome, preview
from deployments.imports.rows import batches
from deployments.imports.service import IMPORT
from deployments.imports.source import Source
from deployments.kit.engine import parse_definition
from deployments.kit.errors import Conflict, DomainError, NotFound
from deployments.kit.objects import ObjectStore
from deployments.kit.principal import Principal
from deployments.responses.contracts import ImportRow, RejectedRow, ResponsesApi
from eventing.events.envelope import Origin
from eventing.events.jobs import ImportCompleted
from eventing.jobs import Done, GiveUp, JobKind, JobRun, JobSpec, enqueue
from eventing.outbox import record

DISCARD: Final = "import.discard"

_ROWS: Final = 200
_BYTES: Final = 1 << 20
_TRANSIENT: Final = (409, 412, 429)


class ImportJob:
    """Brings a file in. Run again after a failure, it goes on where it was: rows that are in are skipped."""

    def __init__(self, objects: ObjectStore, forms: FormsApi, responses: ResponsesApi) -> None:
        self._objects = objects
        self._forms = forms
        self._responses = responses

    async def run(self, job: JobRun) -> Done:
        """Import the file, or tell what that would do. Raises GiveUp when no further attempt can help."""
        command = StartImport.model_validate(job.payload)
        try:
            async with self._objects.local_copy(command.file) as file:
                with tempfile.TemporaryDirectory() as folder:
                    source = await asyncio.to_thread(READERS[command.format], file, Path(folder))
                    work = self._preview if command.dry_run else self._import
                    return await work(job, command, source)
        except FileNotFoundError as error:
            raise GiveUp("The uploaded file is not there any more. Upload it again.") from error
        except DomainError as error:
            if error.status >= 500 or error.status in _TRANSIENT:
                raise
            raise GiveUp(error.detail) from error

    async def _import(self, job: JobRun, command: StartImport, source: Source) -> Done:
        principal = Principal.system(job.tenant_id, IMPORT)
        await job.progress(0, source.total)
        form = await self._form(principal, command, source)
        tally = Tally()
        pieces = batches(source.rows(), _ROWS, _BYTES)
        while (piece := await asyncio.to_thread(next, pieces, None)) is not None:
            rows = []
            for row in piece:
                if isinstance(row, RejectedRow):
                    tally.refuse(row)
                else:
                    rows.append(_asked(source, row, tally))
            if rows:
                stored = await self._responses.import_rows(principal, form.id, rows)
                tally.imported += stored.imported
                tally.skipped += stored.skipped
                for refused in stored.rejected:
                    tally.refuse(refused)
            await job.progress(tally.rows, source.total)
        fact = ImportCompleted(
            job_id=job.id, form_id=form.id, imported=tally.imported, skipped=tally.skipped, failed=tally.refused
        )

        async def effect(unit: UnitOfWork) -> None:
            record(unit, fact, actor=job.created_by, origin=Origin())
            await _discard_later(unit, job)

        return Done(outcome(form.id, source, tally), effect)

    async def _preview(self, job: JobRun, command: StartImport, source: Source) -> Done:
        await job.progress(0, source.total)
        form, conflict = None, None
        try:
            form = await self._existing(Principal.system(job.tenant_id, IMPORT), command, source)
        except FormDiffers as error:
            conflict = error.detail
        tally = await asyncio.to_thread(_checked, source)
        await job.progress(tally.rows, source.total)

        async def effect(unit: UnitOfWork) -> None:
            await _discard_later(unit, job)

        return Done(preview(form.id if form else None, conflict, source, tally), effect)

    async def _form(self, principal: Principal, command: StartImport, source: Source) -> Form:
        """The form that the file's rows fit, published when there are any: the one of that name, else a new one."""
        form = await self._existing(principal, command, source)
        if form is None:
            order = CreateForm(slug=command.slug, title=command.title, definition=source.form.definition.document())
            with suppress(Conflict):
                form = await self._forms.create(principal, order)
            # Another import may have been faster.
            form = form or await self._existing(principal, command, source)
        if form is None:
            raise FormDiffers(f"The name {command.slug} cannot be used for a form.")
        # Responses need a version; a definition by itself is for its owner to look at and to publish.
        if form.version is None and source.total:
            await self._forms.publish(principal, form.id)
        return form

    async def _existing(self, principal: Principal, command: StartImport, source: Source) -> Form | None:
        """The form of that name, None when there is none. Raises FormDiffers when the rows would not fit."""
        try:
            form = await self._forms.get_by_slug(principal, command.slug)
        except NotFound:
            return None
        if form.status == "archived":
            raise FormDiffers(f"The form {command.slug} is archived; restore it, or import under another name.")
        definition: dict[str, Any] = form.definition
        if form.version is not None:
            definition = (await self._forms.get_version(principal, form.id, form.version)).definition
        if parse_definition(definition).document() != source.form.definition.document():
            raise FormDiffers(f"The form {command.slug} has other questions than this file; import under another name.")
        return form


class DiscardFile:
    """Removes the file of an import that is done. A job of its own, so that no file goes before the import is kept."""

    def __init__(self, objects: ObjectStore) -> None:
        self._objects = objects

    async def run(self, job: JobRun) -> Done:
        """Remove the file; when it is gone already, that is fine."""
        file = job.payload["file"]
        await self._objects.delete(file)

        async def effect(unit: UnitOfWork) -> None:
            await StorageRepository(unit.session, unit.tenant).remove(file)

        return Done(effect=effect)


async def _discard_later(unit: UnitOfWork, job: JobRun) -> None:
    await enqueue(unit, JobSpec(DISCARD, {"file": job.payload["file"]}, created_by=f"system:{IMPORT}"))


def _asked(source: Source, row: ImportRow, tally: Tally) -> ImportRow:
    """The row without the answers that the form's logic does not ask for, which would be lost: its meta keeps them."""
    if not any(field.visible_if for field in source.form.definition.fields):
        return row
    kept, faults = source.form.check(row.answers, partial=True)
    hidden = {name: answer for name, answer in row.answers.items() if name not in kept}
    if faults or not hidden:
        return row
    tally.set_aside(row.line)
    answers = {name: answer for name, answer in row.answers.items() if name in kept}
    return row.model_copy(update={"answers": answers, "meta": {**row.meta, "hidden_answers": hidden}})


def _checked(source: Source) -> Tally:
    """The rows as an import into the new form would find them."""
    tally = Tally(most=MAX_SAMPLE)
    for row in source.rows():
        if isinstance(row, RejectedRow):
            tally.refuse(row)
            continue
        _, faults = source.form.check(row.answers, partial=True)
        if faults:
            detail = "; ".join(f"{fault.pointer}: {fault.detail}" for fault in faults)
            tally.refuse(RejectedRow(line=row.line, detail=detail[:1000]))
        else:
            _asked(source, row, tally)
            tally.imported += 1
    return tally


def job_kinds(objects: ObjectStore, forms: FormsApi, responses: ResponsesApi) -> tuple[JobKind, ...]:
    """The jobs of this context."""
    bring_in, discard = ImportJob(objects, forms, responses), DiscardFile(objects)
    return (
        JobKind(IMPORT, "default", bring_in.run, max_attempts=5, soft_limit_s=3_300.0, hard_limit_s=3_600.0),
        JobKind(DISCARD, "default", discard.run, max_attempts=8),
    )
