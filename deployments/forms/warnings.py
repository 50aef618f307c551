"""What a valid definition says that is hardly meant: told of, never refused."""

from collections.abc import Iterator, Mapping
from itertools import chain, islice
from typing import Any, Final

from deployments.kit.answer_quotas import ONE_OPTION
from deployments.kit.engine import Definition
from deployments.kit.errors import Fault

MAX_WARNINGS: Final = 100

_UNASKED: Final = frozenset({"statement", "section", "hidden", "calculated"})
_LISTS: Final = ("options", "rows", "columns")
_TEXTS: Final = ("title", "description", "min_label", "max_label", "item_title")


def warnings_of(definition: Definition) -> tuple[Fault, ...]:
    """The first hundred warnings."""
    if not definition.fields:
        return (Fault("/pages", "warning.no_fields", "Nothing is asked."),)
    document = definition.document()
    return tuple(islice(chain(_pages(document), _elements(document), missing_texts(document)), MAX_WARNINGS))


def _pages(document: Mapping[str, Any]) -> Iterator[Fault]:
    for index, page in enumerate(document["pages"]):
        if not page.get("elements"):
            yield Fault(f"/pages/{index}", "warning.empty_page", "Nothing is on this page.")


def _placed(container: Mapping[str, Any], place: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Every element inside, those in sections and groups too, with its place."""
    for index, element in enumerate(container.get("elements") or ()):
        here = f"{place}/elements/{index}"
        yield here, element
        yield from _placed(element, here)


def _all(document: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for index, page in enumerate(document["pages"]):
        yield from _placed(page, f"/pages/{index}")


def _elements(document: Mapping[str, Any]) -> Iterator[Fault]:
    titles: dict[str, str] = {}
    for place, element in _all(document):
        title = (element.get("title") or "").strip().casefold()
        if title and element["type"] not in _UNASKED:
            if title in titles:
                detail = f"'{titles[title]}' has the same title: in exports nobody can tell their columns apart."
                yield Fault(f"{place}/title", "warning.duplicate_title", detail)
            titles.setdefault(title, element["id"])
        yield from _options(place, element)
        if element.get("required") and element.get("required_if"):
            detail = "An answer is required in any case, so the condition changes nothing."
            yield Fault(f"{place}/required_if", "warning.pointless_condition", detail)


def _options(place: str, element: Mapping[str, Any]) -> Iterator[Fault]:
    for name in _LISTS:
        labels: set[str] = set()
        for index, option in enumerate(element.get(name, ())):
            label = option["label"].strip().casefold()
            if label in labels:
                detail = "Another one has the same label: nobody can tell them apart."
                yield Fault(f"{place}/{name}/{index}/label", "warning.duplicate_label", detail)
            labels.add(label)
    if element["type"] in ONE_OPTION and len(element["options"]) == 1 and not element.get("allow_other"):
        yield Fault(f"{place}/options", "warning.no_choice", "There is only one option to choose.")


def missing_texts(document: Mapping[str, Any]) -> Iterator[Fault]:
    """A warning for each text that one of the form's other languages lacks; one for a language without any."""
    translations = document.get("translations") or {}
    for number, language in enumerate(document["languages"][1:], 1):
        texts = translations.get(language)
        if texts is None:
            yield Fault(f"/languages/{number}", "warning.no_translation", f"No text is there in {language}.")
        else:
            yield from _missing_in(language, document, texts)


def _missing_in(language: str, document: Mapping[str, Any], texts: Mapping[str, Any]) -> Iterator[Fault]:
    yield from _unlike(language, "", document, texts)
    for index, page in enumerate(document["pages"]):
        found = texts.get("pages", {}).get(page["id"], {})
        yield from _unlike(language, f"/pages/{index}", page, found)
    for place, element in _all(document):
        found = texts.get("elements", {}).get(element["id"], {})
        yield from _unlike(language, place, element, found)
        for name in _LISTS:
            for index, option in enumerate(element.get(name, ())):
                if option["id"] not in found.get(name, {}):
                    yield _missing(language, f"{place}/{name}/{index}/label")
    for index, rule in enumerate(document.get("rules", ())):
        if rule["id"] not in texts.get("rules", {}):
            yield _missing(language, f"/rules/{index}/message")


def _unlike(language: str, place: str, item: Mapping[str, Any], found: Mapping[str, Any]) -> Iterator[Fault]:
    for name in _TEXTS:
        if item.get(name) and not found.get(name):
            yield _missing(language, f"{place}/{name}")


def _missing(language: str, place: str) -> Fault:
    return Fault(
        place, "warning.missing_text", f"There is no text in {language}; visitors see that of the first language."
    )
