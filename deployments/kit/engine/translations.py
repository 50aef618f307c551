"""The texts of a form in its other languages, by the ids of what they belong to, so that they survive reordering."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any

from pydantic import Field as Attribute
from pydantic import StringConstraints

from deployments.kit.engine.fields.field import Id, Label, Model, Prose
from deployments.kit.engine.fields.option import MAX_OPTIONS, OptionId

Language = Annotated[str, StringConstraints(pattern=r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8}){0,4}$")]
Labels = Annotated[dict[OptionId, Label], Attribute(max_length=MAX_OPTIONS)]


class PageTexts(Model):
    """The texts of a page."""

    title: Label | None = None
    """The title."""
    description: Prose | None = None
    """The description."""


class ElementTexts(Model):
    """The texts of an element; of options, rows and columns by their ids."""

    title: Label | None = None
    """The title."""
    description: Prose | None = None
    """The description."""
    min_label: Label | None = None
    """What the first step means."""
    max_label: Label | None = None
    """What the last step means."""
    item_title: Label | None = None
    """What an item is called."""
    options: Labels = Attribute(default_factory=dict)
    """The labels of options by their ids."""
    rows: Labels = Attribute(default_factory=dict)
    """The labels of rows by their ids."""
    columns: Labels = Attribute(default_factory=dict)
    """The labels of columns by their ids."""


class Buttons(Model):
    """What the buttons of the form say, where it is not the usual."""

    start: Label | None = None
    """Begins the form."""
    back: Label | None = None
    """Leads to the page before."""
    next: Label | None = None
    """Leads to the next page."""
    submit: Label | None = None
    """Sends the answers."""


class Translation(Model):
    """The texts of a form in one language; what is left out stays in the form's first language."""

    title: Label | None = None
    """The title of the form."""
    description: Prose | None = None
    """What the form is about."""
    buttons: Buttons = Buttons()
    """What the buttons say."""
    pages: dict[Id, PageTexts] = Attribute(default_factory=dict)
    """The texts of pages by their ids."""
    elements: dict[Id, ElementTexts] = Attribute(default_factory=dict)
    """The texts of elements by their ids, those inside of groups and sections, too."""
    rules: dict[Id, Label] = Attribute(default_factory=dict)
    """The messages of rules by their ids."""


def best_language(languages: Sequence[str], wanted: str) -> str:
    """The one of `languages` that suits `wanted` best: itself, a less exact one, a sibling, or the first."""
    known = {language.lower(): language for language in reversed(languages)}
    subtags = wanted.lower().replace("_", "-").split("-")
    for length in range(len(subtags), 0, -1):
        found = known.get("-".join(subtags[:length]))
        if found is not None:
            return found
    siblings = (language for language in languages if language.lower().split("-")[0] == subtags[0])
    return next(siblings, languages[0])


def translated(document: dict[str, Any], texts: Translation) -> dict[str, Any]:
    """The document of a definition with these texts in place of its own."""
    result = {**document, **_given(texts, "title", "description")}
    buttons = {**document.get("buttons", {}), **texts.buttons.model_dump(exclude_none=True)}
    if buttons:
        result["buttons"] = buttons
    result["pages"] = [_page(page, texts) for page in document["pages"]]
    if "rules" in document:
        result["rules"] = [
            {**rule, "message": texts.rules.get(rule["id"], rule["message"])} for rule in document["rules"]
        ]
    return result


def _page(page: Mapping[str, Any], texts: Translation) -> dict[str, Any]:
    found = texts.pages.get(page["id"], PageTexts())
    elements = [_element(element, texts) for element in page["elements"]]
    return {**page, **_given(found, "title", "description"), "elements": elements}


def _element(element: Mapping[str, Any], texts: Translation) -> dict[str, Any]:
    found = texts.elements.get(element["id"], ElementTexts())
    result = {**element, **_given(found, "title", "description", "min_label", "max_label", "item_title")}
    for name in ("options", "rows", "columns"):
        if name in element:
            labels: Mapping[str, str] = getattr(found, name)
            result[name] = _labelled(element[name], labels)
    if "elements" in element:
        result["elements"] = [_element(inner, texts) for inner in element["elements"]]
    return result


def _labelled(items: Iterable[Mapping[str, Any]], labels: Mapping[str, str]) -> list[dict[str, Any]]:
    return [{**item, "label": labels.get(item["id"], item["label"])} for item in items]


def _given(texts: Model, *names: str) -> dict[str, str]:
    values = {name: getattr(texts, name) for name in names}
    return {name: text for name, text in values.items() if text is not None}
