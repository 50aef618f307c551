"""What a schema cannot say about a definition: unique ids, sound rules, and expressions that make sense."""

from collections.abc import Iterable, Iterator
from typing import Final

from deployments.kit.engine.definition import END, MAX_ELEMENTS, Definition
from deployments.kit.engine.faults import pointer, printable
from deployments.kit.engine.fields import Field
from deployments.kit.engine.meaning import expression_faults
from deployments.kit.engine.outline import Entry, Outline
from deployments.kit.engine.translations import Translation
from deployments.kit.errors import Fault

_LISTS: Final = ("options", "rows", "columns")


def audit(outline: Outline) -> Iterator[Fault]:
    """Every fault beyond the shape."""
    yield from _duplicates(outline.page_ids)
    yield from _duplicates(outline.element_ids)
    if len(outline.element_ids) > MAX_ELEMENTS:
        yield Fault("/pages", "definition.too_many", f"A form has at most {MAX_ELEMENTS} elements.")
    for entry in outline.elements:
        for fault in entry.element.faults():
            yield Fault(entry.place + fault.pointer, fault.code, fault.detail)
        yield from _inside_faults(entry)
    yield from expression_faults(outline)
    if outline.definition is not None:
        yield from _jump_faults(outline.definition)
        yield from _rule_faults(outline.definition)
        yield from _translation_faults(outline.definition, outline)


def _duplicates(ids: Iterable[tuple[str, str]]) -> Iterator[Fault]:
    seen: set[str] = set()
    for place, value in ids:
        if value in seen:
            yield Fault(place, "definition.duplicate_id", f"The id '{printable(value)}' is used twice.")
        seen.add(value)


def _inside_faults(entry: Entry) -> Iterator[Fault]:
    if entry.group is not None and isinstance(entry.element, Field) and entry.element.is_unique():
        detail = "Inside of a group an answer cannot be unique."
        yield Fault(f"{entry.place}/validation/unique", "definition.not_here", detail)


def _jump_faults(definition: Definition) -> Iterator[Fault]:
    if any(page.next for page in definition.pages):
        for index, page in enumerate(definition.pages):
            if page.id == END:
                detail = f"In a form with jumps the id '{END}' is reserved for its end."
                yield Fault(pointer("pages", index, "id"), "definition.reserved_id", detail)
    indexes = {page.id: index for index, page in reversed(list(enumerate(definition.pages)))}
    for index, page in enumerate(definition.pages):
        for position, jump in enumerate(page.next):
            place = pointer("pages", index, "next", position, "to")
            if jump.to == END:
                continue
            if jump.to not in indexes:
                yield Fault(place, "definition.unknown_page", f"There is no page '{jump.to}'.")
            elif indexes[jump.to] <= index:
                yield Fault(place, "definition.backwards", "A page leads only to pages below it.")


def _rule_faults(definition: Definition) -> Iterator[Fault]:
    yield from _duplicates((pointer("rules", index, "id"), rule.id) for index, rule in enumerate(definition.rules))
    known = {field.id for field in definition.fields}
    for index, rule in enumerate(definition.rules):
        for position, name in enumerate(rule.fields):
            if name not in known:
                detail = f"There is no field '{name}' outside of groups."
                yield Fault(pointer("rules", index, "fields", position), "definition.unknown_field", detail)


def _translation_faults(definition: Definition, outline: Outline) -> Iterator[Fault]:
    for language, texts in definition.translations.items():
        place = pointer("translations", language)
        if language not in definition.languages[1:]:
            detail = "A translation is into one of the languages after the first."
            yield Fault(place, "definition.unknown_language", detail)
        for fault in _text_faults(definition, outline, texts):
            yield Fault(place + fault.pointer, fault.code, fault.detail)


def _text_faults(definition: Definition, outline: Outline, texts: Translation) -> Iterator[Fault]:
    yield from _without_original(definition, texts, ("title", "description"))
    pages = {page.id: page for page in definition.pages}
    for page_id, page_texts in texts.pages.items():
        place = pointer("pages", page_id)
        if page_id not in pages:
            yield Fault(place, "definition.unknown_page", f"There is no page '{page_id}'.")
        else:
            yield from _without_original(pages[page_id], page_texts, ("title", "description"), place)
    elements = {entry.element.id: entry.element for entry in outline.elements}
    for element_id, element_texts in texts.elements.items():
        place = pointer("elements", element_id)
        element = elements.get(element_id)
        if element is None:
            yield Fault(place, "definition.unknown_field", f"There is no element '{element_id}'.")
            continue
        given = element_texts.model_dump(exclude_defaults=True)
        original = element.texts()
        for name, text in given.items():
            if name not in original:
                yield _no_text(f"{place}/{name}")
            elif name in _LISTS:
                yield from (_no_text(place + pointer(name, key)) for key in text if key not in original[name])
    rules = {rule.id for rule in definition.rules}
    for rule_id in texts.rules:
        if rule_id not in rules:
            yield _no_text(pointer("rules", rule_id))


def _without_original(owner: object, texts: object, names: tuple[str, ...], place: str = "") -> Iterator[Fault]:
    for name in names:
        if getattr(texts, name) is not None and getattr(owner, name) is None:
            yield _no_text(f"{place}/{name}")


def _no_text(place: str) -> Fault:
    return Fault(place, "definition.no_text", "The form has no such text to translate.")
