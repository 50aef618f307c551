"""Bringing a dump in, collection by collection, in small transactions: what one of them did stays done."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Final, Literal

from db.models.legacy import LegacyDocument
from db.repositories.legacy import LegacyRepository
from db.session import Database, UnitOfWork
from db.types import utc_now
from deployments.files.contracts import CarriedFile
from deployments.imports.errors import FileUnreadable
from deployments.imports.legacy import answers, attachments, forms, people
from deployments.imports.legacy.attachments import Attachment, Bytes, FileSource
from deployments.imports.legacy.documents import Document
from deployments.imports.legacy.dump import FILES, FORMS, GRID_CHUNKS, RESPONSES, USERS, VERSIONS, Dump
from deployments.imports.legacy.forms import Translated, is_gone
from deployments.imports.legacy.intake import Intake
from deployments.imports.legacy.people import Person
from deployments.imports.legacy.report import KNOWN, LINKED, MADE, REFUSED, SKIPPED, Report
from deployments.imports.legacy.spool import Spool
from deployments.imports.legacy.survey import Survey
from deployments.imports.legacy.values import digest
from deployments.kit.carrying import Carried
from deployments.kit.errors import DomainError
from deployments.kit.file_fields import FileField, file_fields
from deployments.kit.principal import Principal
from deployments.kit.set_aside import set_aside
from deployments.responses.contracts import CarriedResponse

ACTOR: Final = "legacy"
DELETED: Final = "document.deleted"
BROKEN: Final = "document.broken"
REPEATED: Final = "document.repeated"
DIFFERS: Final = "document.differs"
_FORM_MISSING: Final = "form.missing"
_FORM_NOT_MADE: Final = "form.not_made"
_VERSION_MISSING: Final = "version.missing"
_RESPONSE_MISSING: Final = "file.response_missing"
_NO_FIELD: Final = "file.no_field"
_EMAIL_TAKEN: Final = "email.taken"
_EMAIL_BAD: Final = "email.unreadable"
_SLUG_TAKEN: Final = "slug.taken"
_SLUG_RENAMED: Final = "slug.renamed"
_TIME_NOW: Final = "time.of_import"

_PEOPLE: Final = 100
_RESPONSES: Final = 500
_OF_VERSIONS: Final = "versions"
_MOST_NAMES: Final = 10_000

Progress = Callable[[str, int], None]
"""Told of a collection, and how many of its documents are done."""


@dataclass(frozen=True, slots=True)
class Options:
    """What becomes of an e-mail or slug that is taken."""

    on_email_conflict: Literal["link", "skip", "rename"] = "link"
    on_slug_conflict: Literal["rename", "skip"] = "rename"


@dataclass(slots=True)
class _Form:
    """A form that is there, or would be: its id, and how the answers of its versions are read."""

    id: str
    translated: Translated
    numbers: list[int]


@dataclass(slots=True)
class _Response:
    """A response that is ready to be taken in, with its files."""

    document: Document
    carried: CarriedResponse
    notes: dict[str, str]
    files: list[tuple[Attachment, CarriedFile]]
    lost: list[tuple[Attachment, str]]


class Importer:
    """One pass through a dump. Without a `run_id` nothing is written: the report is what there would be."""

    def __init__(
        self,
        database: Database,
        intake: Intake,
        dump: Dump,
        survey: Survey,
        tenant_id: str,
        options: Options,
        *,
        files: Path,
        run_id: str | None = None,
        new_tenant: bool = False,
        progress: Progress | None = None,
    ) -> None:
        self._database = database
        self._intake = intake
        self._dump = dump
        self._survey = survey
        self._tenant_id = tenant_id
        self._options = options
        self._folder = files
        self._run_id = run_id
        self._new_tenant = new_tenant
        self._progress = progress or (lambda collection, done: None)
        self._principal = Principal.system(tenant_id, ACTOR)
        self._people: dict[str, str] = {}
        self._emails: dict[str, str] = {}
        self._slugs: set[str] = set()
        self._forms: dict[str, _Form] = {}
        self._seen: dict[str, str] = {}
        self.report = Report()

    async def run(self, folder: Path) -> Report:
        """Go through the dump; `folder` is for what is needed out of its order. Raises what the database raises."""
        self.report.unread = dict(self._survey.unread)
        with Spool(folder) as spool:
            source = FileSource(spool, self._folder)
            await self._users()
            self._put_aside(spool)
            await self._all_forms(spool)
            await self._rest(spool, _OF_VERSIONS, _FORM_MISSING)
            await self._responses(spool, source)
            for shelf in (attachments.OF_RESPONSE, attachments.BY_ID):
                await self._rest(spool, shelf, _RESPONSE_MISSING)
        return self.report

    # What all documents share

    @asynccontextmanager
    async def _unit(self) -> AsyncIterator[UnitOfWork | None]:
        """A transaction; a view in a dry run, None when there is no tenant to look at."""
        if self._run_id is not None:
            async with self._database.write(self._tenant_id) as unit:
                yield unit
        elif self._new_tenant:
            yield None
        else:
            async with self._database.read(self._tenant_id) as unit:
                yield unit

    async def _before(self, collection: str, documents: Sequence[Document]) -> dict[str, LegacyDocument]:
        """What became of documents earlier, outside of a transaction of their own."""
        if not documents or (self._run_id is None and self._new_tenant):
            return {}
        async with self._database.read(self._tenant_id) as view:
            return await self._known(view, collection, documents)

    async def _known(
        self, unit: UnitOfWork | None, collection: str, documents: Iterable[Document]
    ) -> dict[str, LegacyDocument]:
        if unit is None:
            return {}
        ids = {id_ for each in documents for id_ in (each.source_id, repeated(each))}
        return await LegacyRepository(unit.session, unit.tenant).known(collection, ids)

    def _fresh(self, document: Document, known: Mapping[str, LegacyDocument], rows: list[dict[str, Any]]) -> bool:
        """Whether a document is one to be brought in. What became of others is in the report, and in `rows`."""
        before, again = known.get(document.source_id), known.get(repeated(document))
        if again is not None or (before is not None and (before.place == document.place or not self._is_ours(before))):
            notes = {} if before is None or before.sha256 == document.sha256 else {"": DIFFERS}
            self.report.count(document, KNOWN, notes)
            return False
        first = self._seen.setdefault(f"{document.collection}:{document.source_id}", document.place)
        if before is not None or first != document.place:
            document.source_id = repeated(document)
            self._end(document, REFUSED, REPEATED, rows)
        elif document.problem:
            self._end(document, REFUSED, BROKEN, rows, detail=document.problem)
        elif is_gone(document.members):
            self._end(document, SKIPPED, DELETED, rows)
        else:
            return True
        return False

    def _is_ours(self, row: LegacyDocument) -> bool:
        return row.run_id == self._run_id

    def _end(
        self,
        document: Document,
        outcome: str,
        reason: str,
        rows: list[dict[str, Any]],
        notes: Mapping[str, str] | None = None,
        *,
        detail: str = "",
        **values: Any,
    ) -> None:
        """A document has come to its end."""
        notes = document.notes if notes is None else notes
        self.report.count(document, outcome, notes, reason="")
        if reason:
            self.report.note(document, "", reason, detail, outcome)
        told = {"": reason, **notes} if reason else notes
        rows.append(
            {
                "tenant_id": self._tenant_id,
                "collection": document.collection,
                "source_id": document.source_id,
                "run_id": self._run_id,
                "place": document.place,
                "sha256": document.sha256,
                "outcome": outcome,
                "form_id": None,
                "new_id": None,
                "stored": None,
                "notes": answers.noted(told),
                "extra": None,
                **values,
            }
        )

    async def _keep(self, unit: UnitOfWork | None, rows: Sequence[dict[str, Any]]) -> None:
        if unit is not None and self._run_id is not None:
            await LegacyRepository(unit.session, unit.tenant).add(rows)

    # Accounts

    async def _users(self) -> None:
        done = 0
        for batch in _batches(self._dump.documents(USERS), _PEOPLE):
            rows: list[dict[str, Any]] = []
            async with self._unit() as unit:
                known = await self._known(unit, USERS, batch)
                fresh = [each for each in batch if self._fresh(each, known, rows)]
                for source_id, row in known.items():
                    if row.new_id:
                        self._people[source_id] = row.new_id
                await self._accounts(unit, fresh, rows)
                await self._keep(unit, rows)
            done += len(batch)
            self._progress(USERS, done)

    async def _accounts(self, unit: UnitOfWork | None, fresh: Sequence[Document], rows: list[dict[str, Any]]) -> None:
        new: dict[str, tuple[Document, Person]] = {}
        linked: list[tuple[Document, Person, str]] = []
        found = [(each, people.translate(each, owners=self._new_tenant)) for each in fresh]
        emails = {self._intake.people.normal_email(person.user.email) for _, person in found}
        taken = {} if unit is None else await self._intake.people.find(unit, emails)
        for document, person in found:
            email = self._intake.people.normal_email(person.user.email)
            if not email:
                self._end(document, REFUSED, _EMAIL_BAD, rows, person.notes)
            elif email not in taken and email not in new and email not in self._emails:
                new[email] = (document, person)
            elif self._options.on_email_conflict == "link":
                linked.append((document, person, email))
            elif self._options.on_email_conflict == "skip":
                self._end(document, SKIPPED, _EMAIL_TAKEN, rows, person.notes)
            else:
                free = await self._free_email(unit, email, new)
                new[free] = (document, people.renamed(person, free))
        await self._make_accounts(unit, new, rows)
        for document, person, email in linked:
            self._link(document, person, taken.get(email) or self._emails.get(email), rows)

    async def _make_accounts(
        self, unit: UnitOfWork | None, new: Mapping[str, tuple[Document, Person]], rows: list[dict[str, Any]]
    ) -> None:
        carried = [Carried(f"usr_{document.source_id}") for document, _ in new.values()]
        if unit is not None and self._run_id is not None:
            users = [person.user for _, person in new.values()]
            carried = await self._intake.people.take_in(unit, self._principal, users)
        for (email, (document, person)), outcome in zip(new.items(), carried, strict=True):
            if outcome.problem:
                self._end(document, REFUSED, outcome.problem, rows, person.notes)
                continue
            self._people[document.source_id] = self._emails[email] = outcome.id
            made: dict[str, Any] = {"new_id": outcome.id, "stored": outcome.stored, "extra": _json(person.extra)}
            self._end(document, MADE, "", rows, person.notes, **made)

    def _link(self, document: Document, person: Person, account: str | None, rows: list[dict[str, Any]]) -> None:
        if account is None:
            # The first of them was refused, and so is this one.
            self._end(document, REFUSED, _EMAIL_TAKEN, rows, person.notes)
            return
        self._people[document.source_id] = account
        self._end(document, LINKED, _EMAIL_TAKEN, rows, person.notes, new_id=account, extra=_json(person.extra))

    async def _free_email(self, unit: UnitOfWork | None, email: str, new: Mapping[str, Any]) -> str:
        name, _, domain = email.rpartition("@")
        for number in range(2, _MOST_NAMES):
            candidate = f"{name}+legacy{number}@{domain}"
            if candidate in new or candidate in self._emails:
                continue
            if unit is None or not await self._intake.people.find(unit, {candidate}):
                return candidate
        raise FileUnreadable("Too many accounts have the same e-mail.")

    # Forms

    def _put_aside(self, spool: Spool) -> None:
        """Keep what is needed out of its order: versions until their form comes, files until their response does."""
        for document in self._dump.documents(VERSIONS):
            spool.put_document(_OF_VERSIONS, answers.form_of(document.members), document)
        for document in self._dump.documents(FILES):
            of = attachments.response_of(document.body)
            spool.put_document(
                *((attachments.OF_RESPONSE, of) if of else (attachments.BY_ID, document.source_id)), document
            )
        for raw in self._dump.raw(GRID_CHUNKS):
            attachments.keep_chunk(spool, raw.body)

    async def _all_forms(self, spool: Spool) -> None:
        for done, document in enumerate(self._dump.documents(FORMS), 1):
            await self._form(document, spool.take_documents(_OF_VERSIONS, document.source_id))
            self._progress(FORMS, done)

    async def _form(self, document: Document, versions: Sequence[Document]) -> None:
        rows: list[dict[str, Any]] = []
        sound: list[Document] = []
        try:
            async with self._unit() as unit:
                known = await self._known(unit, FORMS, [document])
                before = await self._known(unit, VERSIONS, versions)
                fresh = self._fresh(document, known, rows)
                sound += [each for each in versions if self._fresh(each, before, rows)]
                if fresh:
                    translated = self._translated(document, sound)
                    await self._make(unit, document, sound, translated, rows)
                elif (row := known.get(document.source_id)) is not None and row.new_id:
                    translated = self._translated(document, [each for each in versions if each.source_id in before])
                    self._forms[document.source_id] = _Form(row.new_id, translated, translated.numbers())
                else:
                    self._not_made(sound, rows)
                await self._keep(unit, rows)
        except DomainError as error:
            # Nothing of it is there; what is said of it is.
            self._end(document, REFUSED, error.code, rows, detail=error.detail)
            self._not_made(sound, rows)
            async with self._unit() as unit:
                await self._keep(unit, rows)

    def _translated(self, document: Document, versions: Sequence[Document]) -> Translated:
        return forms.translate(document, versions, self._survey.responses[document.source_id], self._people)

    def _not_made(self, versions: Sequence[Document], rows: list[dict[str, Any]]) -> None:
        for version in versions:
            self._end(version, REFUSED, _FORM_NOT_MADE, rows)

    async def _make(
        self,
        unit: UnitOfWork | None,
        document: Document,
        versions: Sequence[Document],
        translated: Translated,
        rows: list[dict[str, Any]],
    ) -> None:
        slug = await self._free_slug(unit, translated.carried.slug)
        notes = dict(document.notes)
        if slug != translated.carried.slug:
            if self._options.on_slug_conflict == "skip":
                self._end(document, SKIPPED, _SLUG_TAKEN, rows)
                self._not_made(versions, rows)
                return
            notes["/slug"] = _SLUG_RENAMED
        carried, numbers = Carried(f"frm_{document.source_id}"), translated.numbers()
        stored: dict[str, str] = {}
        if unit is not None and self._run_id is not None:
            form = forms.renamed(translated.carried, slug)
            carried, numbers = await self._intake.forms.take_in(unit, self._principal, form)
            stored = await self._intake.forms.checksums(unit, [carried.id]) if carried.id else {}
        if carried.problem:
            self._end(document, REFUSED, carried.problem, rows, notes)
            self._not_made(versions, rows)
            return
        self._slugs.add(slug)
        self._forms[document.source_id] = _Form(carried.id, translated, numbers)
        for notice in translated.notices:
            self.report.note(document, notice.where, notice.code, notice.detail)
            notes.setdefault(notice.where, notice.code)
        for pointer, code in carried.notes.items():
            notes[pointer] = code
            self.report.note(document, pointer, code)
        told = {pointer: code for pointer, code in notes.items() if pointer in document.notes or code == _SLUG_RENAMED}
        self._end(
            document,
            MADE,
            "",
            rows,
            told,
            form_id=carried.id,
            new_id=carried.id,
            stored=carried.stored,
            extra=_json(translated.extra),
        )
        rows[-1]["notes"] = answers.noted(notes)
        self._made_versions(versions, translated, carried.id, numbers, stored, rows)

    def _made_versions(
        self,
        versions: Sequence[Document],
        translated: Translated,
        form_id: str,
        numbers: Sequence[int],
        stored: Mapping[str, str],
        rows: list[dict[str, Any]],
    ) -> None:
        places = {each.source_id: number for each, number in zip(translated.editions, numbers, strict=True)}
        made: set[int] = set()
        for version in versions:
            if version.source_id in translated.refused:
                detail = translated.refused[version.source_id]
                self._end(version, REFUSED, "version.unreadable", rows, detail=detail, form_id=form_id)
                continue
            number = places[version.source_id]
            # Nothing had changed since the version before it.
            outcome = LINKED if number in made else MADE
            made.add(number)
            name = f"{form_id}@{number}"
            extra = _json(translated.extras.get(version.source_id, {}))
            notes = {**version.notes, **{f"/{each}": "property.unknown" for each in extra or ()}}
            sum_ = stored.get(name)
            self._end(version, outcome, "", rows, notes, form_id=form_id, new_id=name, stored=sum_, extra=extra)

    async def _free_slug(self, unit: UnitOfWork | None, slug: str) -> str:
        for number in range(1, _MOST_NAMES):
            candidate = slug if number == 1 else f"{slug}-{number}"
            if candidate in self._slugs:
                continue
            if unit is None or await self._intake.forms.is_free(unit, candidate):
                return candidate
        raise FileUnreadable(f"Too many forms are called {slug}.")

    # Responses and their files

    async def _responses(self, spool: Spool, source: FileSource) -> None:
        done = 0
        for batch in _batches(self._dump.documents(RESPONSES), _RESPONSES):
            await self._take_responses(batch, spool, source)
            done += len(batch)
            self._progress(RESPONSES, done)

    async def _take_responses(self, batch: Sequence[Document], spool: Spool, source: FileSource) -> None:
        rows: list[dict[str, Any]] = []
        ready: list[_Response] = []
        with_files = not (spool.is_empty(attachments.OF_RESPONSE) and spool.is_empty(attachments.BY_ID))
        known = await self._before(RESPONSES, batch)
        for document in batch:
            if self._fresh(document, known, rows):
                response = await self._response(document, spool if with_files else None, source, rows)
                if response is not None:
                    ready.append(response)
            elif with_files and document.source_id in known:
                spool.take_documents(attachments.OF_RESPONSE, document.source_id)
        async with self._unit() as unit:
            await self._store(unit, ready, rows)
            await self._keep(unit, rows)

    async def _response(
        self, document: Document, spool: Spool | None, source: FileSource, rows: list[dict[str, Any]]
    ) -> _Response | None:
        reason = answers.unfinished(document.members)
        if reason:
            self._end(document, SKIPPED, reason, rows)
            return None
        named = answers.form_of(document.members)
        form = self._forms.get(named)
        if form is None or not form.numbers:
            reason = _FORM_MISSING if named not in self._survey.forms else _FORM_NOT_MADE
            self._end(document, REFUSED, reason, rows)
            return None
        place, there = form.translated.edition(answers.version_of(document.members))
        edition = form.translated.editions[place]
        given = answers.translate(document, edition, self._people)
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
        if self._run_id is None:
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
        known = await self._before(FILES, found)
        return [each for each in found if self._fresh(each, known, rows)]

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
        source = f"{self._run_id}/{attachment.document.source_id}"
        if self._run_id is not None:
            put = self._intake.files.put
            return await put(self._tenant_id, form_id, field, source, attachment.name, where.pieces())
        # As the import would know it; whether it is taken is only found out by looking into it.
        made_up = f"fil_{digest(source)[:32]}"
        return CarriedFile(made_up, form_id, field.id, attachment.name, "", where.size, "", False, "")

    async def _store(self, unit: UnitOfWork | None, ready: Sequence[_Response], rows: list[dict[str, Any]]) -> None:
        outcomes = [Carried(f"rsp_{each.document.source_id}", notes={}) for each in ready]
        stored_files: dict[str, Carried] = {}
        if unit is not None and self._run_id is not None:
            for each in ready:
                for _, file in each.files:
                    outcome = await self._intake.files.take_in(unit, self._principal, file)
                    stored_files[file.id] = outcome
                    if outcome.problem:
                        each.carried.answers[file.field_id].remove(file.id)
                        each.notes[f"/answers/{file.field_id}"] = outcome.problem
            outcomes = await self._intake.responses.take_in(unit, self._principal, [each.carried for each in ready])
        for each, outcome in zip(ready, outcomes, strict=True):
            notes = {**each.notes, **outcome.notes}
            form_id = each.carried.form_id
            if outcome.problem:
                self._end(each.document, REFUSED, outcome.problem, rows, notes)
            else:
                made = {"form_id": form_id, "new_id": outcome.id, "stored": outcome.stored}
                self._end(each.document, MADE, "", rows, notes, **made)
            self._end_files(each, outcome, stored_files, rows)

    def _end_files(
        self, each: _Response, outcome: Carried, stored: Mapping[str, Carried], rows: list[dict[str, Any]]
    ) -> None:
        for attachment, code in each.lost:
            self._end(attachment.document, REFUSED, code, rows, form_id=None)
        for attachment, file in each.files:
            kept = stored.get(file.id, Carried(file.id))
            problem = kept.problem or (_RESPONSE_MISSING if outcome.problem else "")
            for pointer, code in outcome.notes.items():
                if pointer.startswith(f"/answers/{file.field_id}"):
                    problem = problem or code
            if problem:
                self._end(attachment.document, REFUSED, problem, rows)
                continue
            notes = dict(attachment.document.notes)
            if attachment.size is not None and attachment.size != file.size:
                notes["/size"] = "file.size_differs"
            made = {"form_id": file.form_id, "new_id": file.id, "stored": kept.stored}
            self._end(attachment.document, MADE, "", rows, notes, **made)

    async def _rest(self, spool: Spool, shelf: str, reason: str) -> None:
        """What belongs to nothing that is there."""
        for batch in _batches(spool.left(shelf), _RESPONSES):
            rows: list[dict[str, Any]] = []
            async with self._unit() as unit:
                known = await self._known(unit, batch[0].collection, batch)
                for document in batch:
                    if self._fresh(document, known, rows):
                        self._end(document, REFUSED, reason, rows)
                await self._keep(unit, rows)


def _field_for(attachment: Attachment, given: answers.Given, fields: Mapping[str, FileField]) -> FileField | None:
    """The field that a file answers: the one whose answer names it, the one that it names, or the only one."""
    for id_, (_, value) in given.named_files.items():
        if id_ in fields and not attachment.names.isdisjoint(attachments.tokens(value)):
            return fields[id_]
    named = fields.get(attachment.field) or fields.get(attachment.field.lower())
    if named is not None:
        return named
    return next(iter(fields.values())) if len(fields) == 1 else None


def repeated(document: Document) -> str:
    """What a document is called whose id an earlier one has."""
    return f"{document.source_id}@{document.place}"


def _batches(documents: Iterable[Document], most: int) -> Iterator[list[Document]]:
    iterator = iter(documents)
    while batch := list(islice(iterator, most)):
        yield batch


def _json(extra: Mapping[str, Any]) -> dict[str, Any] | None:
    return answers.as_json(dict(extra)) if extra else None
