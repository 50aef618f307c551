"""A definition as far as it could be read, so that one broken element does not hide the faults of the others."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import Any, NamedTuple, Self

from pydantic import TypeAdapter, ValidationError

from deployments.kit.engine.definition import MAX_ELEMENTS, MAX_PAGES, Definition
from deployments.kit.engine.faults import pointer
from deployments.kit.engine.fields import AnyElement, Element
from deployments.kit.engine.fields.group import GroupField
from deployments.kit.engine.fields.section import Section


class Entry(NamedTuple):
    """An element, the pointer to it, and the group that it is in."""

    place: str
    element: Element
    group: GroupField | None = None


@dataclass(slots=True)
class Outline:
    """The readable elements with their pointers, every id with its pointer, and the ids of what is not readable.

    `definition` is None when its shape is wrong somewhere.
    """

    definition: Definition | None = None
    elements: list[Entry] = field(default_factory=list)
    page_ids: list[tuple[str, str]] = field(default_factory=list)
    element_ids: list[tuple[str, str]] = field(default_factory=list)
    broken_ids: set[str] = field(default_factory=set)

    @classmethod
    def of(cls, definition: Definition) -> Self:
        """The outline of a definition whose shape is right."""
        outline = cls(definition)
        for page_index, page in enumerate(definition.pages):
            outline.page_ids.append((pointer("pages", page_index, "id"), page.id))
            for index, element in enumerate(page.elements):
                outline._take(pointer("pages", page_index, "elements", index), element, None)
        return outline

    @classmethod
    def salvaged(cls, raw: Any) -> Self:
        """The outline of a document whose shape is wrong somewhere."""
        outline = cls()
        for page_index, page in _items(raw, "pages", MAX_PAGES):
            if (page_id := _id(page)) is not None:
                outline.page_ids.append((pointer("pages", page_index, "id"), page_id))
            for index, element in _items(page, "elements", MAX_ELEMENTS):
                outline._salvage(pointer("pages", page_index, "elements", index), element, depth=0)
        return outline

    def _take(self, place: str, element: Element, group: GroupField | None) -> None:
        self.elements.append(Entry(place, element, group))
        self.element_ids.append((f"{place}/id", element.id))
        if isinstance(element, Section | GroupField):
            for index, inner in enumerate(element.elements):
                around = element if isinstance(element, GroupField) else group
                self._take(f"{place}{pointer('elements', index)}", inner, around)

    def _salvage(self, place: str, raw: Any, depth: int) -> None:
        try:
            self._take(place, _element_adapter().validate_python(raw), None)
        except ValidationError:
            if (element_id := _id(raw)) is not None:
                self.element_ids.append((f"{place}/id", element_id))
                self.broken_ids.add(element_id)
            if depth < _MAX_DEPTH and isinstance(raw, dict) and raw.get("type") == "section":
                for index, element in _items(raw, "elements", MAX_ELEMENTS):
                    self._salvage(f"{place}{pointer('elements', index)}", element, depth + 1)
            elif isinstance(raw, dict) and raw.get("type") == "group":
                # What is inside makes sense only together with the group.
                self.broken_ids.update(filter(None, (_id(item) for _, item in _items(raw, "elements", MAX_ELEMENTS))))


_MAX_DEPTH = 1


@cache
def _element_adapter() -> TypeAdapter[Element]:
    return TypeAdapter(AnyElement)


def _items(raw: Any, name: str, most: int) -> Iterator[tuple[int, Any]]:
    items = raw.get(name) if isinstance(raw, dict) else None
    return enumerate(items[:most] if isinstance(items, list) else ())


def _id(raw: Any) -> str | None:
    value = raw.get("id") if isinstance(raw, dict) else None
    return value if isinstance(value, str) else None
