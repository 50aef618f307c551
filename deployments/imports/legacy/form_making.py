"""Forms of a dump with their versions, each in a transaction of its own."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from db.session import UnitOfWork
from deployments.imports.errors import FileUnreadable
from deployments.imports.legacy import answers, forms
from deployments.imports.legacy.documents import Document
from deployments.imports.legacy.dump import FORMS, VERSIONS, Dump
from deployments.imports.legacy.forms import Translated
from deployments.imports.legacy.ledger import FORM_NOT_MADE, MOST_NAMES, Ledger, kept_json
from deployments.imports.legacy.report import LINKED, MADE, REFUSED, SKIPPED
from deployments.imports.legacy.spool import Spool
from deployments.imports.legacy.survey import Survey
from deployments.kit.carrying import Carried
from deployments.kit.errors import DomainError

OF_VERSIONS: Final = "versions"
"""The shelf where versions wait for their form."""

_SLUG_TAKEN: Final = "slug.taken"
_SLUG_RENAMED: Final = "slug.renamed"


@dataclass(slots=True)
class MadeForm:
    """A form that is there, or would be: its id, and how the answers of its versions are read."""

    id: str
    translated: Translated
    numbers: list[int]


class FormMaking:
    """Brings the forms of a dump in; `made` are they by what they were called."""

    def __init__(self, ledger: Ledger, dump: Dump, survey: Survey) -> None:
        self._ledger = ledger
        self._dump = dump
        self._survey = survey
        self._slugs: set[str] = set()
        self.made: dict[str, MadeForm] = {}

    async def run(self, spool: Spool) -> None:
        """All of them, with the versions that wait for them."""
        for done, document in enumerate(self._dump.documents(FORMS), 1):
            await self._form(document, spool.take_documents(OF_VERSIONS, document.source_id))
            self._ledger.progress(FORMS, done)

    async def _form(self, document: Document, versions: Sequence[Document]) -> None:
        rows: list[dict[str, Any]] = []
        sound: list[Document] = []
        try:
            async with self._ledger.unit() as unit:
                known = await self._ledger.known(unit, FORMS, [document])
                before = await self._ledger.known(unit, VERSIONS, versions)
                fresh = self._ledger.fresh(document, known, rows)
                sound += [each for each in versions if self._ledger.fresh(each, before, rows)]
                if fresh:
                    translated = self._translated(document, sound)
                    await self._make(unit, document, sound, translated, rows)
                elif (row := known.get(document.source_id)) is not None and row.new_id:
                    translated = self._translated(document, [each for each in versions if each.source_id in before])
                    self.made[document.source_id] = MadeForm(row.new_id, translated, translated.numbers())
                else:
                    self._not_made(sound, rows)
                await self._ledger.keep(unit, rows)
        except DomainError as error:
            # Nothing of it is there; what is said of it is.
            self._ledger.end(document, REFUSED, error.code, rows, detail=error.detail)
            self._not_made(sound, rows)
            async with self._ledger.unit() as unit:
                await self._ledger.keep(unit, rows)

    def _translated(self, document: Document, versions: Sequence[Document]) -> Translated:
        return forms.translate(document, versions, self._survey.responses[document.source_id], self._ledger.people)

    def _not_made(self, versions: Sequence[Document], rows: list[dict[str, Any]]) -> None:
        for version in versions:
            self._ledger.end(version, REFUSED, FORM_NOT_MADE, rows)

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
            if self._ledger.options.on_slug_conflict == "skip":
                self._ledger.end(document, SKIPPED, _SLUG_TAKEN, rows)
                self._not_made(versions, rows)
                return
            notes["/slug"] = _SLUG_RENAMED
        carried, numbers = Carried(f"frm_{document.source_id}"), translated.numbers()
        stored: dict[str, str] = {}
        if unit is not None and self._ledger.run_id is not None:
            form = forms.renamed(translated.carried, slug)
            carried, numbers = await self._ledger.intake.forms.take_in(unit, self._ledger.principal, form)
            stored = await self._ledger.intake.forms.checksums(unit, [carried.id]) if carried.id else {}
        if carried.problem:
            self._ledger.end(document, REFUSED, carried.problem, rows, notes)
            self._not_made(versions, rows)
            return
        self._slugs.add(slug)
        self.made[document.source_id] = MadeForm(carried.id, translated, numbers)
        for notice in translated.notices:
            self._ledger.report.note(document, notice.where, notice.code, notice.detail)
            notes.setdefault(notice.where, notice.code)
        for pointer, code in carried.notes.items():
            notes[pointer] = code
            self._ledger.report.note(document, pointer, code)
        told = {pointer: code for pointer, code in notes.items() if pointer in document.notes or code == _SLUG_RENAMED}
        self._ledger.end(
            document,
            MADE,
            "",
            rows,
            told,
            form_id=carried.id,
            new_id=carried.id,
            stored=carried.stored,
            extra=kept_json(translated.extra),
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
                self._ledger.end(version, REFUSED, "version.unreadable", rows, detail=detail, form_id=form_id)
                continue
            number = places[version.source_id]
            # Nothing had changed since the version before it.
            outcome = LINKED if number in made else MADE
            made.add(number)
            name = f"{form_id}@{number}"
            extra = kept_json(translated.extras.get(version.source_id, {}))
            notes = {**version.notes, **{f"/{each}": "property.unknown" for each in extra or ()}}
            sum_ = stored.get(name)
            self._ledger.end(version, outcome, "", rows, notes, form_id=form_id, new_id=name, stored=sum_, extra=extra)

    async def _free_slug(self, unit: UnitOfWork | None, slug: str) -> str:
        for number in range(1, MOST_NAMES):
            candidate = slug if number == 1 else f"{slug}-{number}"
            if candidate in self._slugs:
                continue
            if unit is None or await self._ledger.intake.forms.is_free(unit, candidate):
                return candidate
        raise FileUnreadable(f"Too many forms are called {slug}.")
