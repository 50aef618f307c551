"""A published version as a page asks it: in one language, page by page."""

from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from deployments.forms.contracts import PublishedForm
from deployments.kit.engine import CompiledForm, compile_form, stored_definition
from deployments.kit.errors import Fault
from serve_app.edge.form_pages.answers import Element, answers_of, fields_of
from serve_app.edge.form_pages.entries import Entries
from serve_app.edge.form_pages.questions import place_of
from serve_app.edge.form_pages.standing import Standing, decides, standing

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

    def standing(self, entries: Entries) -> Standing:
        """Where a visitor stands after what was entered."""
        return standing(self.document, self.rules, self.answers(entries))

    def neighbour(self, page_id: str, step: int, path: Sequence[str]) -> str | None:
        """The page of the path after (`step` 1) or before (-1) a page, None beyond its ends."""
        place = self.page_ids.index(page_id)
        others = self.page_ids[place + 1 :] if step > 0 else reversed(self.page_ids[:place])
        return next((other for other in others if other in path), None)

    @cached_property
    def logic(self) -> Any:
        """What the browser needs to decide what is shown; None where nothing depends on answers."""
        return self.rules.logic() if decides(self.document) else None

    def message(self, fault: Fault) -> str | None:
        """What the form's author says about a broken rule over several answers, in the page's language."""
        name = fault.code.removeprefix("rule.")
        rules = self.document.get("rules", ()) if name != fault.code else ()
        return next((rule["message"] for rule in rules if rule["id"] == name), None)

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
    """The versions that were asked for last, parsed and compiled once for each language."""

    def __init__(self) -> None:
        self._pages: OrderedDict[tuple[str, str, int, str], FormPage] = OrderedDict()

    def of(self, tenant_id: str, published: PublishedForm, language: str) -> FormPage:
        """The page of a published form in one of its languages."""
        key = (tenant_id, published.id, published.version, language)
        page = self._pages.get(key)
        if page is None:
            definition = stored_definition(published.definition).localized(language)
            page = self._pages[key] = FormPage(definition.document(), compile_form(definition))
            if len(self._pages) > _KEPT:
                self._pages.popitem(last=False)
        return page
