"""A definition as far as it could be read, so that one broken element does not hide the faults of the others."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Self

from pydantic import TypeAdapter, ValidationError

from deployments.kit.engine.definition import MAX_ELEMENTS, MAX_PAGES, Definition
from deployments.kit.engine.faults import pointer
from deployments.kit.engine.fields import AnyElement, Element


@dataclass(slots=True)
class Outline:
    """The readable elements with their pointers, every id with its pointer, and the ids of what is not readable."""

    elements: list[tuple[str, Element]] = field(default_factory=list)
    page_ids: list[tuple[str, str]] = field(default_factory=list)
    element_ids: list[tuple[str, str]] = field(default_factory=list)
    broken_ids: set[str] = field(default_factory=set)

    @classmethod
    def of(cls, definition: Definition) -> Self:
        """The outline of a definition whose shape is right."""
        outline = cls()
        for page_index, page in enumerate(definition.pages):
            outline.page_ids.append((pointer("pages", page_index, "id"), page.id))
            for index, element in enumerate(page.elements):
                place = pointer("pages", page_index, "elements", index)
                outline.elements.append((place, element))
                outline.element_ids.append((f"{place}/id", element.id))
        return outline

    @classmethod
    def salvaged(cls, raw: Any) -> Self:
        """The outline of a document whose shape is wrong somewhere."""
        outline = cls()
        for page_index, page in _items(raw, "pages", MAX_PAGES):
            if (page_id := _id(page)) is not None:
                outline.page_ids.append((pointer("pages", page_index, "id"), page_id))
            for index, element in _items(page, "elements", MAX_ELEMENTS):
                outline._salvage(pointer("pages", page_index, "elements", index), element)
        return outline

    def _salvage(self, place: str, raw: Any) -> None:
        element_id = _id(raw)
        if element_id is not None:
            self.element_ids.append((f"{place}/id", element_id))
        try:
            self.elements.append((place, _element_adapter().validate_python(raw)))
        except ValidationError:
            if element_id is not None:
                self.broken_ids.add(element_id)


@cache
def _element_adapter() -> TypeAdapter[Element]:
    return TypeAdapter(AnyElement)


def _items(raw: Any, name: str, most: int) -> Iterator[tuple[int, Any]]:
    items = raw.get(name) if isinstance(raw, dict) else None
    return enumerate(items[:most] if isinstance(items, list) else ())


def _id(raw: Any) -> str | None:
    value = raw.get("id") if isinstance(raw, dict) else None
    return value if isinstance(value, str) else None
