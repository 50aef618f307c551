"""Responses of a dump in batches, with their files: the bytes first, then rows of all of them in one transaction."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from db.session import UnitOfWork
from db.types import utc_now
from deployments.files.contracts import CarriedFile
from deployments.imports.legacy import answers, attachments
from deployments.imports.legacy.attachments import Attachment, Bytes, FileSource
from deployments.imports.legacy.documents import Document
from deployments.imports.legacy.dump import FILES, RESPONSES, Dump
from deployments.imports.legacy.form_making import MadeForm
from deployments.imports.legacy.ledger import FORM_NOT_MADE, Ledger, batches
from deployments.imports.legacy.report import MADE, REFUSED, SKIPPED
from deployments.imports.legacy.spool import Spool
from deployments.imports.legacy.survey import Survey
from deployments.imports.legacy.values import digest
from deployments.kit.carrying import Carried
from deployments.kit.file_fields import FileField, file_fields
from deployments.kit.set_aside import set_aside
from deployments.responses.contracts import CarriedResponse

FORM_MISSING: Final = "form.missing"
RESPONSE_MISSING: Final = "file.response_missing"
_VERSION_MISSING: Final = "version.missing"
_NO_FIELD: Final = "file.no_field"
_TIME_NOW: Final = "time.of_import"
_RESPONSES: Final = 500


@dataclass(slots=True)
class _Response:
    """A response that is ready to be taken in, with its files."""

    document: Document
    carried: CarriedResponse
    notes: dict[str, str]
    files: list[tuple[Attachment, CarriedFile]]
    lost: list[tuple[Attachment, str]]


class ResponseTaking:
    """Brings the responses of a dump in, to the forms that were made."""

    def __init__(self, ledger: Ledger, dump: Dump, survey: Survey, forms: Mapping[str, MadeForm]) -> None:
        self._ledger = ledger
        self._dump = dump
        self._survey = survey
        self._forms = forms

    async def run(self, spool: Spool, source: FileSource) -> None:
        """All of them, with the files that wait for them."""
        done = 0
        for batch in batches(self._dump.documents(RESPONSES), _RESPONSES):
            await self._take_responses(batch, spool, source)
            done += len(batch)
            self._ledger.progress(RESPONSES, done)

    async def _take_responses(self, batch: Sequence[Document], spool: Spool, source: FileSource) -> None:
        rows: list[dict[str, Any]] = []
        ready: list[_Response] = []
        with_files = not (spool.is_empty(attachments.OF_RESPONSE) and spool.is_empty(attachments.BY_ID))
        known = await self._ledger.before(RESPONSES, batch)
        for document in batch:
            if self._ledger.fresh(document, known, rows):
                response = await self._response(document, spool if with_files else None, source, rows)
                if response is not None:
                    ready.append(response)
        async with self._ledger.unit() as unit:
            await self._store(unit, ready, rows)
            await self._ledger.keep(unit, rows)

    async def _response(
        self, document: Document, spool: Spool | None, source: FileSource, rows: list[dict[str, Any]]
    ) -> _Response | None:
        reason = answers.unfinished(document.members)
        if reason:
            self._ledger.end(document, SKIPPED, reason, rows)
            return None
        named = answers.form_of(document.members)
        form = self._forms.get(named)
        if form is None or not form.numbers:
            reason = FORM_MISSING if named not in self._survey.forms else FORM_NOT_MADE
            self._ledger.end(document, REFUSED, reason, rows)
            return None
        place, there = form.translated.edition(answers.version_of(document.members))
        edition = form.translated.editions[place]
        given = answers.translate(document, edition, self._ledger.people)
        if not there:
            given.notes["/version"] = _VERSION_MISSING
        files: list[tuple[Attachment, CarriedFile]] = []
        lost: list[tuple[Attachment, str]] = []
        if spool is not None:
            found = [attachments.read(each) for each in await self._files_of(document, given, spool, rows)]
            if found:
                fields = file_fields(edition.rules.definition.document())
                await self._bring_files(form.id, fields, given, found, source, files, lost)
        for id_, (_, value) in given.named_files.items():
            if id_ not in given.answers:
                given.meta.setdefault("set_aside", {})[id_] = answers.as_json(value)
                given.notes[f"/answers/{id_}"] = attachments.MISSING
        if given.submitted_at is None:
            given.notes["/submitted_at"] = _TIME_NOW
        carried = CarriedResponse(
            form_id=form.id,
            version=form.numbers[place],
            answers=given.answers,
            meta=given.meta,
            submitted_by=given.submitted_by,
            submitted_at=given.submitted_at or utc_now(),
            started_at=given.started_at,
        )
        if self._ledger.run_id is None:
            *_, refused = set_aside(edition.rules, carried.answers)
            given.notes.update(refused)
        return _Response(document, carried, given.notes, files, lost)

    async def _files_of(
        self, document: Document, given: answers.Given, spool: Spool, rows: list[dict[str, Any]]
    ) -> list[Document]:
        found = spool.take_documents(attachments.OF_RESPONSE, document.source_id)
        for _, value in given.named_files.values():
            for token in attachments.tokens(value):
                found += spool.take_documents(attachments.BY_ID, token)
        known = await self._ledger.before(FILES, found)
        return [each for each in found if self._ledger.fresh(each, known, rows)]

    async def _bring_files(
        self,
        form_id: str,
        fields: Sequence[FileField],
        given: answers.Given,
        found: Sequence[Attachment],
        source: FileSource,
        files: list[tuple[Attachment, CarriedFile]],
        lost: list[tuple[Attachment, str]],
    ) -> None:
        """Put the bytes of a response's files into the store, and let its answers name them."""
        by_id = {field.id: field for field in fields}
        for attachment in found:
            target = _field_for(attachment, given, by_id)
            if target is None:
                lost.append((attachment, _NO_FIELD))
                continue
            where = await asyncio.to_thread(source.find, attachment)
            outcome = where if isinstance(where, str) else await self._put(form_id, target, attachment, where)
            if isinstance(outcome, str):
                lost.append((attachment, outcome))
                continue
            files.append((attachment, outcome))
            given.answers.setdefault(target.id, []).append(outcome.id)
        extras = [{"id": each.document.source_id, **answers.as_json(each.extra)} for each in found if each.extra]
        if extras:
            given.meta["legacy"]["files"] = extras

    async def _put(self, form_id: str, field: FileField, attachment: Attachment, where: Bytes) -> CarriedFile | str:
        source = f"{self._ledger.run_id}/{attachment.document.source_id}"
        if self._ledger.run_id is not None:
            put = self._ledger.intake.files.put
            return await put(self._ledger.tenant_id, form_id, field, source, attachment.name, where.pieces())
        # As the import would know it; whether it is taken is only found out by looking into it.
        made_up = f"fil_{digest(source)[:32]}"
        return CarriedFile(made_up, form_id, field.id, attachment.name, "", where.size, "", False, "")

    async def _store(self, unit: UnitOfWork | None, ready: Sequence[_Response], rows: list[dict[str, Any]]) -> None:
        outcomes = [Carried(f"rsp_{each.document.source_id}", notes={}) for each in ready]
        stored_files: dict[str, Carried] = {}
        if unit is not None and self._ledger.run_id is not None:
            for each in ready:
                for _, file in each.files:
                    outcome = await self._ledger.intake.files.take_in(unit, self._ledger.principal, file)
                    stored_files[file.id] = outcome
                    if outcome.problem:
                        each.carried.answers[file.field_id].remove(file.id)
                        each.notes[f"/answers/{file.field_id}"] = outcome.problem
            outcomes = await self._ledger.intake.responses.take_in(
                unit, self._ledger.principal, [each.carried for each in ready]
            )
        for each, outcome in zip(ready, outcomes, strict=True):
            notes = {**each.notes, **outcome.notes}
            form_id = each.carried.form_id
            if outcome.problem:
                self._ledger.end(each.document, REFUSED, outcome.problem, rows, notes)
            else:
                made = {"form_id": form_id, "new_id": outcome.id, "stored": outcome.stored}
                self._ledger.end(each.document, MADE, "", rows, notes, **made)
            self._end_files(each, outcome, stored_files, rows)

    def _end_files(
        self, each: _Response, outcome: Carried, stored: Mapping[str, Carried], rows: list[dict[str, Any]]
    ) -> None:
        for attachment, code in each.lost:
            self._ledger.end(attachment.document, REFUSED, code, rows, form_id=None)
        for attachment, file in each.files:
            kept = stored.get(file.id, Carried(file.id))
            problem = kept.problem or (RESPONSE_MISSING if outcome.problem else "")
            answer = f"/answers/{file.field_id}"
            for pointer, code in outcome.notes.items():
                if pointer == answer or pointer.startswith(f"{answer}/"):
                    problem = problem or code
            if problem:
                self._ledger.end(attachment.document, REFUSED, problem, rows)
                continue
            notes = dict(attachment.document.notes)
            if attachment.size is not None and attachment.size != file.size:
                notes["/size"] = "file.size_differs"
            made = {"form_id": file.form_id, "new_id": file.id, "stored": kept.stored}
            self._ledger.end(attachment.document, MADE, "", rows, notes, **made)


def _field_for(attachment: Attachment, given: answers.Given, fields: Mapping[str, FileField]) -> FileField | None:
    """The field that a file answers: the one whose answer names it, the one that it names, or the only one."""
    for id_, (_, value) in given.named_files.items():
        if id_ in fields and not attachment.names.isdisjoint(attachments.tokens(value)):
            return fields[id_]
    named = fields.get(attachment.field) or fields.get(attachment.field.lower())
    if named is not None:
        return named
    return next(iter(fields.values())) if len(fields) == 1 else None
