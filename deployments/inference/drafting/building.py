"""Definitions out of questions, and out of what a model wrote: whatever comes in, what comes out is valid."""

import re
import unicodedata
from collections.abc import Sequence
from copy import deepcopy
from typing import Any, Final

from deployments.inference.drafting.kinds import Question
from deployments.kit.engine import InvalidDefinition, compile_form, parse_definition

_CURRENCIES: Final = {"$": "USD", "dollar": "USD", "usd": "USD", "£": "GBP", "pound": "GBP", "gbp": "GBP", "chf": "CHF"}
_ROUNDS: Final = 30
_ITEM: Final = re.compile(r"^/pages/(\d+)(?:/elements/(\d+))?(?:/(.+))?$")
_MAX_OPTIONS: Final = 200


def definition_of(questions: Sequence[Question], language: str, pages: int | None) -> tuple[dict[str, Any], list[str]]:
    """The definition that asks these, spread over so many pages, and what was assumed about it."""
    notes: list[str] = []
    taken: set[str] = set()
    elements = [_element(question, taken, notes) for question in questions]
    count = min(pages or 1, len(elements))
    if pages is not None and count < pages:
        notes.append(f"There are {len(elements)} questions, so there are no more pages than that.")
    sizes = [len(elements) // count + (place < len(elements) % count) for place in range(count)]
    made: list[dict[str, Any]] = []
    start = 0
    for number, size in enumerate(sizes, 1):
        made.append({"id": f"page{number}", "elements": elements[start : start + size]})
        start += size
    return {"languages": [language], "pages": made}, notes


def valid(document: Any) -> tuple[dict[str, Any] | None, list[str]]:
    """The document as a valid definition, without what could not stay, and a note for each of these; None when nothing
    is left."""
    if not isinstance(document, dict):
        return None, []
    current: dict[str, Any] = deepcopy(document)
    notes: list[str] = []
    for _ in range(_ROUNDS):
        try:
            compile_form(parse_definition(current))
        except InvalidDefinition as error:
            if not error.faults or not _without(current, error.faults[0].pointer):
                return None, notes
            notes.append(f"{error.faults[0].pointer} was left out: {error.faults[0].detail}")
        else:
            return current, notes
    return None, notes


def slug(text: str, taken: set[str], otherwise: str = "question") -> str:
    """An id made of the words of a text; unique among those that are taken."""
    plain = unicodedata.normalize("NFKD", text.replace("ß", "ss").casefold()).encode("ascii", "ignore").decode()
    words = re.findall(r"[a-z0-9]+", plain)
    name = "_".join(words[:5])[:40].strip("_") or otherwise
    if not name[0].isalpha():
        name = f"{otherwise[0]}_{name}"
    found, number = name, 2
    while found in taken:
        found, number = f"{name}_{number}", number + 1
    taken.add(found)
    return found


def _element(question: Question, taken: set[str], notes: list[str]) -> dict[str, Any]:
    element: dict[str, Any] = {
        "id": slug(question.title, taken),
        "type": question.type,
        "title": question.title,
        "required": bool(question.required),
    }
    if question.is_personal:
        element["personal"] = True
    if question.options:
        labels: set[str] = set()
        element["options"] = [
            {"id": slug(option, labels, "option"), "label": option[:500]} for option in question.options[:_MAX_OPTIONS]
        ]
    if question.allow_other:
        element["allow_other"] = True
    if question.type == "rating":
        element["max"] = min(question.range[1], 10) if question.range else 5
        if question.range is None:
            notes.append(f"“{question.title}” is rated from 1 to 5.")
    elif question.type == "scale":
        low, high = question.range or (1, 5)
        element |= {"min": low, "max": high}
    elif question.type == "currency":
        plain = question.title.casefold()
        element["currency"] = next((code for word, code in _CURRENCIES.items() if word in plain), "EUR")
        if element["currency"] == "EUR" and "eur" not in plain and "€" not in plain:
            notes.append(f"“{question.title}” is an amount in euros.")
    elif question.type in ("integer", "number") and question.range:
        element["validation"] = {"min": question.range[0], "max": question.range[1]}
    return element


def _without(document: dict[str, Any], pointer: str) -> bool:
    """Take out the smallest part of a definition that a fault is in; whether there was one."""
    match = _ITEM.match(pointer)
    if match is None:
        # A property of the form itself, beside its pages.
        name = pointer.split("/")[1] if pointer.count("/") else ""
        return name not in ("", "pages") and document.pop(name, None) is not None
    pages = document.get("pages")
    page_number, element_number, rest = int(match[1]), match[2], match[3]
    if not isinstance(pages, list) or page_number >= len(pages):
        return False
    page = pages[page_number]
    elements = page.get("elements") if isinstance(page, dict) else None
    if element_number is None or not isinstance(elements, list) or int(element_number) >= len(elements):
        del pages[page_number]
        return True
    element = elements[int(element_number)]
    if rest is not None and isinstance(element, dict):
        name = rest.split("/")[0]
        if name in element and name not in ("id", "type", "title", "options", "rows", "columns", "elements"):
            del element[name]
            return True
    del elements[int(element_number)]
    if not elements:
        del pages[page_number]
    return True
