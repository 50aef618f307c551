"""What is known of a form when it is asked about: its fields, their labels in a language, who may see them."""

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from db.repositories.published_forms import PublishedFormRepository, searched_form
from db.session import UnitOfWork
from deployments.analytics.errors import FormNotFound
from deployments.kit.engine import Definition, stored_definition
from deployments.kit.engine.columns import part_title
from deployments.kit.engine.translations import best_language
from deployments.kit.filtering.fields import Fields
from deployments.kit.personal import personal_fields

_KEPT: Final = 64


@dataclass(frozen=True, slots=True)
class Texts:
    """What things are called in one language: columns by their keys, and the ids of options by the key of their
    column."""

    titles: Mapping[str, str]
    labels: Mapping[str, Mapping[str, str]]


@dataclass(frozen=True, slots=True)
class QueriedForm:
    """A form with all its published versions, oldest first."""

    form_id: str
    definitions: tuple[Definition, ...]
    fields: Fields
    personal: frozenset[str]
    types: Mapping[str, str]
    """The types of fields in the newest version that has them."""
    _texts: dict[str, Texts] = field(default_factory=dict)

    def texts(self, language: str | None) -> Texts:
        """The texts in the form's best language for this one; of removed options, too."""
        languages = self.definitions[-1].languages
        chosen = best_language(languages, language) if language else languages[0]
        if chosen not in self._texts:
            self._texts[chosen] = _texts_of(self.definitions, chosen)
        return self._texts[chosen]


class QueriedForms:
    """Bounded cache of forms by version; versions never change."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[object, ...], QueriedForm] = OrderedDict()

    async def get(self, unit: UnitOfWork, form_id: str) -> QueriedForm:
        """The form as of its newest version. Raises FormNotFound, also when it was never published."""
        searched = await searched_form(unit.connection, unit.tenant, form_id)
        if searched is None or searched[0] == 0:
            raise FormNotFound
        version, inferred = searched
        key = (unit.tenant, form_id, version, inferred)
        found = self._kept.get(key)
        if found is None:
            published = await PublishedFormRepository(unit.session, unit.tenant).versions(form_id, version)
            definitions = tuple(stored_definition(each.definition) for each in published)
            types = {each.id: each.type for definition in definitions for each in definition.fields}
            found = QueriedForm(
                form_id, definitions, Fields(definitions, inferred), personal_fields(definitions), types
            )
            self._kept[key] = found
            if len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        self._kept.move_to_end(key)
        return found


def _texts_of(definitions: tuple[Definition, ...], language: str) -> Texts:
    titles: dict[str, str] = {}
    labels: dict[str, dict[str, str]] = {}
    for definition in definitions:
        for each in definition.localized(language).fields:
            titles[each.id] = each.title
            options = {option.id: option.label for option in getattr(each, "options", ())}
            if each.type == "ranking":
                titles.update({f"{each.id}.{name}": part_title(each.title, text) for name, text in options.items()})
            elif options:
                labels.setdefault(each.id, {}).update(options)
            if each.type in ("matrix", "matrix_multi"):
                _add_matrix(each, titles, labels)
    return Texts(titles, labels)


def _add_matrix(each: object, titles: dict[str, str], labels: dict[str, dict[str, str]]) -> None:
    """A matrix is a column for each row; and as a whole, pairs of a row and a column."""
    name, title = each.id, each.title  # type: ignore[attr-defined]
    columns = {column.id: column.label for column in each.columns}  # type: ignore[attr-defined]
    for row in each.rows:  # type: ignore[attr-defined]
        key = f"{name}.{row.id}"
        titles[key] = part_title(title, row.label)
        labels.setdefault(key, {}).update(columns)
        pairs = {f"{row.id}.{column}": part_title(row.label, text) for column, text in columns.items()}
        labels.setdefault(name, {}).update(pairs)
