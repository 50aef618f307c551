"""What of a form is shown, asked for and reached, as far as the answers so far say."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from deployments.kit.engine import CompiledForm
from serve_app.edge.form_pages.answers import Element, fields_of

_READS: Final = re.compile(r"\banswers\.([a-z][a-z0-9_]*)")
_ITEM: Final = re.compile(r"\bitem\.")
_CONDITIONS: Final = ("visible_if", "required_if", "next", "rules", "value", "calculate")


@dataclass(frozen=True, slots=True)
class Standing:
    """The pages on the visitor's path, and names of questions: `hidden` for certain, `open` for as long as their own
    page is being filled in, `required`."""

    pages: tuple[str, ...]
    hidden: frozenset[str]
    open: frozenset[str]
    required: frozenset[str]


def standing(document: Mapping[str, Any], rules: CompiledForm, answers: Mapping[str, Any]) -> Standing:
    """Where a visitor stands after `answers`.

    A page without a script cannot know what is being entered on it: what depends on that is left open, and the server
    does not look at answers to questions that turn out to be hidden.
    """
    decision = rules.decide(answers)
    visible = {name.replace("/", ".") for name in decision.visible}
    unseen = {element["id"] for page in document["pages"] for element in fields_of(page["elements"])} - visible
    undecided = frozenset(_undecided(document)) & unseen
    required = frozenset(name.replace("/", ".") for name in decision.required)
    return Standing(decision.pages, frozenset(unseen - undecided), undecided, required)


def decides(document: Mapping[str, Any]) -> bool:
    """Whether anything of the form depends on answers."""
    parts = [document, *document["pages"], *(element for _, element in _named(document))]
    return any(part.get(name) for part in parts for name in _CONDITIONS)


def _named(document: Mapping[str, Any]) -> Iterator[tuple[str, Element]]:
    for page in document["pages"]:
        for element in fields_of(page["elements"]):
            yield element["id"], element
            if element["type"] == "group":
                yield from ((f"{element['id']}.{inner['id']}", inner) for inner in element["elements"])


def _undecided(document: Mapping[str, Any]) -> Iterator[str]:
    """The elements whose visibility depends on answers of their own page."""
    for page in document["pages"]:
        near = {element["id"] for element in fields_of(page["elements"])}
        for element in page["elements"]:
            own = _depends(element, near)
            if own:
                yield element["id"]
            for inner in element.get("elements", ()):
                if element["type"] == "section" and (own or _depends(inner, near)):
                    yield inner["id"]


def _depends(element: Element, near: set[str]) -> bool:
    condition = element.get("visible_if") or ""
    return not near.isdisjoint(_READS.findall(condition)) or _ITEM.search(condition) is not None
