"""What is known of a form when its responses are searched: fields and words, kept for each version."""

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from db.repositories.answer_values import Kind, series_of
from db.repositories.published_forms import PublishedFormRepository, searched_form
from db.session import UnitOfWork
from deployments.kit.engine import LABELLED, Definition, Style, stored_definition, table_columns
from deployments.kit.engine import Column as TableColumn
from deployments.kit.filtering.fields import Fields, marks_of
from deployments.responses.errors import FormNotFound
from deployments.responses.query.verdicts import verdict_columns, verdicts_of
from deployments.responses.query.words import Words

_KEPT: Final = 128
# Another number has every index made anew. Raise it when other entries come of the same answers.
_RULES: Final = 2


@dataclass(frozen=True, slots=True)
class SearchedForm:
    """A form with all its published versions, up to `version`."""

    form_id: str
    version: int
    fields: Fields
    words: Words
    definitions: tuple[Definition, ...]
    inferred: tuple[tuple[str, str], ...] = ()
    """The kinds of verdicts there are, as pairs of field and name, oldest first."""
    _tables: dict[Style, tuple[TableColumn, ...]] = field(default_factory=dict)

    @property
    def rules(self) -> str:
        """Names what the index holds of answers: by other rules, other entries."""
        return f"{_RULES}:{','.join(self.fields.languages)}"

    def columns(self, style: Style = LABELLED) -> tuple[TableColumn, ...]:
        """The columns of all versions as one table."""
        if style not in self._tables:
            titles = {field.id: field.title for definition in self.definitions for field in definition.fields}
            self._tables[style] = (
                *table_columns(self.definitions, style),
                *verdict_columns(self.inferred, titles, lists=style.lists),
            )
        return self._tables[style]

    def entries(self, row: Any) -> set[tuple[int, str]]:
        """What the index holds of a response, read for it."""
        answers: Mapping[str, Any] = row.answers
        words = series_of(self.form_id, "", Kind.WORDS)
        found = self.fields.entries(self.form_id, answers)
        found.update(marks_of(self.form_id, row))
        found.update(verdicts_of(self.form_id, row.inference))
        found.update((words, form) for text in self.fields.texts(answers) for form in self.words.forms(text))
        return found


class SearchedForms:
    """Bounded cache of forms by version; versions never change."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[str, str, int, tuple[tuple[str, str], ...]], SearchedForm] = OrderedDict()

    async def get(
        self, unit: UnitOfWork, form_id: str, up_to: int | None = None, kinds: int | None = None
    ) -> SearchedForm:
        """The form as of its newest version, or of `up_to`; with the first `kinds` of verdicts, or all. Raises
        FormNotFound."""
        searched = await searched_form(unit.connection, unit.tenant, form_id)
        if searched is None:
            raise FormNotFound
        newest, every = searched
        version, inferred = newest if up_to is None else min(newest, up_to), every[:kinds]
        key = (unit.tenant, form_id, version, inferred)
        found = self._kept.get(key)
        if found is None:
            published = await PublishedFormRepository(unit.session, unit.tenant).versions(form_id, version)
            definitions = tuple(stored_definition(each.definition) for each in published)
            fields = Fields(definitions, inferred)
            found = SearchedForm(form_id, version, fields, Words(fields.languages), definitions, inferred)
            self._kept[key] = found
            if len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        self._kept.move_to_end(key)
        return found
