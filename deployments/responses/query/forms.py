"""What is known of a form when its responses are searched: fields and words, kept for each version."""

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from db.repositories.answer_values import Kind, series_of
from db.repositories.published_forms import PublishedFormRepository
from db.session import UnitOfWork
from deployments.kit.engine import Column as TableColumn
from deployments.kit.engine import compile_form, merged_columns, stored_definition
from deployments.responses.errors import FormNotFound
from deployments.responses.query.fields import Fields
from deployments.responses.query.words import Words

_KEPT: Final = 128
# Another number has every index made anew. Raise it when other entries come of the same answers.
_RULES: Final = 1


@dataclass(frozen=True, slots=True)
class SearchedForm:
    """A form with all its published versions, up to `version`."""

    form_id: str
    version: int
    fields: Fields
    words: Words
    columns: tuple[TableColumn, ...]

    @property
    def rules(self) -> str:
        """Names what the index holds of answers: by other rules, other entries."""
        return f"{_RULES}:{','.join(self.fields.languages)}"

    def entries(self, answers: Mapping[str, Any]) -> set[tuple[int, str]]:
        """What the index holds of a response's answers."""
        words = series_of(self.form_id, "", Kind.WORDS)
        found = self.fields.entries(self.form_id, answers)
        found.update((words, form) for text in self.fields.texts(answers) for form in self.words.forms(text))
        return found


class SearchedForms:
    """Bounded cache of forms by version; versions never change."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[str, str, int], SearchedForm] = OrderedDict()

    async def get(self, unit: UnitOfWork, form_id: str, up_to: int | None = None) -> SearchedForm:
        """The form as of its newest version, or of `up_to`. Raises FormNotFound."""
        repository = PublishedFormRepository(unit.session, unit.tenant)
        newest = await repository.newest(form_id)
        if newest is None:
            raise FormNotFound
        version = newest if up_to is None else min(newest, up_to)
        key = (unit.tenant, form_id, version)
        found = self._kept.get(key)
        if found is None:
            published = await repository.versions(form_id, version)
            definitions = [stored_definition(each.definition) for each in published]
            fields = Fields(definitions)
            columns = merged_columns([compile_form(definition) for definition in definitions])
            found = SearchedForm(form_id, version, fields, Words(fields.languages), columns)
            self._kept[key] = found
            if len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        self._kept.move_to_end(key)
        return found
