"""A published version as a page asks it: in one language, page by page."""

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from deployments.forms.contracts import PublishedForm
from deployments.kit.engine import CompiledForm, Definition, compile_form, parse_definition
from deployments.kit.errors import Fault
from serve_app.edge.form_pages.answers import Element, answers_of, fields_of
from serve_app.edge.form_pages.entries import Entries
from serve_app.edge.form_pages.questions import place_of

_KEPT: Final = 512


@dataclass(frozen=True)
class FormPage:
    """One language of a version. `document` is its definition as JSON."""

    document: Mapping[str, Any]
    rules: CompiledForm

    @cached_property
    def pages(self) -> tuple[Mapping[str, Any], ...]:
        """The pages in their order."""
        return tuple(self.document["pages"])

    @cached_property
    def page_ids(self) -> tuple[str, ...]:
        """The ids of the pages."""
        return tuple(page["id"] for page in self.pages)

    @cached_property
    def elements(self) -> Mapping[str, Element]:
        """Every element outside groups, by its id."""
        return {element["id"]: element for page in self.pages for element in fields_of(page["elements"])}

    @cached_property
    def page_of(self) -> Mapping[str, str]:
        """The id of the page that an element is on."""
        return {element["id"]: page["id"] for page in self.pages for element in fields_of(page["elements"])}

    @cached_property
    def groups(self) -> tuple[str, ...]:
        """The ids of the repeating groups."""
        return tuple(name for name, element in self.elements.items() if element["type"] == "group")

    def answers(self, entries: Entries) -> dict[str, Any]:
        """The answers that were entered."""
        return answers_of((element for page in self.pages for element in page["elements"]), entries)

    def faults_on(self, page_id: str, entries: Entries) -> tuple[Fault, ...]:
        """What keeps a visitor from going on from a page: the faults of the answers on it."""
        _, faults = self.rules.check(self.answers(entries))
        return tuple(fault for fault in faults if self.page_with(fault) == page_id)

    def page_with(self, fault: Fault) -> str | None:
        """The page where a fault is; None for one of no question."""
        _, element = place_of(fault.pointer, self.elements)
        name = fault.pointer.split("/")[2] if element is not None else ""
        return self.page_of.get(name)

    def first_page(self, faults: Iterable[Fault]) -> str | None:
        """The first page with a fault."""
        found = {self.page_with(fault) for fault in faults}
        return next((page["id"] for page in self.pages if page["id"] in found), None)

    def neighbour(self, page_id: str, step: int) -> str:
        """The page after (`step` 1) or before (-1) a page; itself at the ends."""
        place = self.page_ids.index(page_id) + step
        return self.page_ids[place] if 0 <= place < len(self.page_ids) else page_id

    def position(self, name: str) -> tuple[int, str]:
        """Where a question stands among the others."""
        return list(self.elements).index(name.partition(".")[0]), name

    def title_of(self, element_id: str, rest: str = "") -> str:
        """The title of an element; `rest` names a question in an item of a group (`0.price`)."""
        element = self.elements[element_id]
        number, _, inner = rest.partition(".")
        if not inner:
            return str(element["title"])
        title = next((each["title"] for each in element.get("elements", ()) if each["id"] == inner), "")
        return f"{element['title']} {int(number) + 1} – {title}"


class FormPages:
    """The versions that were asked for last, parsed once."""

    def __init__(self) -> None:
        self._versions: OrderedDict[tuple[str, str, int], tuple[Definition, CompiledForm]] = OrderedDict()
        self._pages: OrderedDict[tuple[str, str, int, str], FormPage] = OrderedDict()

    def of(self, tenant_id: str, published: PublishedForm, language: str) -> FormPage:
        """The page of a published form in one of its languages."""
        key = (tenant_id, published.id, published.version)
        page = self._pages.get((*key, language))
        if page is None:
            definition, rules = self._version(key, published)
            page = FormPage(definition.document(), rules)
            self._pages[(*key, language)] = page
            if len(self._pages) > _KEPT:
                self._pages.popitem(last=False)
        return page

    def _version(self, key: tuple[str, str, int], published: PublishedForm) -> tuple[Definition, CompiledForm]:
        version = self._versions.get(key)
        if version is None:
            definition = parse_definition(published.definition)
            version = self._versions[key] = (definition, compile_form(definition))
            if len(self._versions) > _KEPT:
                self._versions.popitem(last=False)
        return version
