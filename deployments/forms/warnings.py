"""What a valid definition says that is hardly meant: told of, never refused."""

from collections.abc import Iterator
from typing import Any

from deployments.kit.answer_quotas import ONE_OPTION
from deployments.kit.engine import Definition
from deployments.kit.errors import Fault


def warnings_of(definition: Definition) -> tuple[Fault, ...]:
    """Every warning, in the order of the form."""
    document = definition.document()
    if not definition.fields:
        return (Fault("/pages", "warning.no_fields", "Nothing is asked."),)
    return (*_pages(document), *_elements(document))


def _pages(document: dict[str, Any]) -> Iterator[Fault]:
    for index, page in enumerate(document["pages"]):
        if not page.get("elements"):
            yield Fault(f"/pages/{index}", "warning.empty_page", "Nothing is on this page.")


def _elements(document: dict[str, Any]) -> Iterator[Fault]:
    titles: dict[str, str] = {}
    for page_index, page in enumerate(document["pages"]):
        for index, element in enumerate(page.get("elements", ())):
            place = f"/pages/{page_index}/elements/{index}"
            title = element["title"].strip().casefold()
            if title in titles and element["type"] != "statement":
                detail = f"'{titles[title]}' has the same title: in exports nobody can tell their columns apart."
                yield Fault(f"{place}/title", "warning.duplicate_title", detail)
            titles.setdefault(title, element["id"])
            yield from _options(place, element)
            if element.get("required") and element.get("required_if"):
                detail = "An answer is required in any case, so the condition changes nothing."
                yield Fault(f"{place}/required_if", "warning.pointless_condition", detail)


def _options(place: str, element: dict[str, Any]) -> Iterator[Fault]:
    for name in ("options", "rows", "columns"):
        labels: set[str] = set()
        for index, option in enumerate(element.get(name, ())):
            label = option.get("label", "").strip().casefold()
            if label in labels:
                detail = "Another one has the same label: nobody can tell them apart."
                yield Fault(f"{place}/{name}/{index}/label", "warning.duplicate_label", detail)
            labels.add(label)
    if element["type"] in ONE_OPTION and len(element["options"]) == 1 and not element.get("allow_other"):
        yield Fault(f"{place}/options", "warning.no_choice", "There is only one option to choose.")
