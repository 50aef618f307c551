"""What a form is: pages of elements, as the tenant wrote it and as it is stored."""

from collections.abc import Iterator
from functools import cached_property
from typing import Annotated, Any, Final

from pydantic import Field as Attribute
from pydantic import Strict, StringConstraints

from deployments.kit.engine.fields import AnyElement, Element, Field
from deployments.kit.engine.fields.field import Id, Label, Model, Prose

MAX_PAGES: Final = 50
MAX_ELEMENTS: Final = 1_000

Language = Annotated[str, StringConstraints(pattern=r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8}){0,4}$")]


class Page(Model):
    """One page: elements in their order."""

    id: Id
    title: Label | None = None
    description: Prose | None = None
    elements: Annotated[tuple[AnyElement, ...], Strict(False), Attribute(max_length=MAX_ELEMENTS)]


class Definition(Model):
    """A form definition. Made by `parse_definition`, which also checks what a schema cannot say."""

    title: Label | None = None
    description: Prose | None = None
    languages: Annotated[tuple[Language, ...], Strict(False), Attribute(min_length=1, max_length=50)] = ("en",)
    pages: Annotated[tuple[Page, ...], Strict(False), Attribute(min_length=1, max_length=MAX_PAGES)]

    @cached_property
    def fields(self) -> tuple[Field, ...]:
        """The elements that have an answer, in the order of the form."""
        return tuple(element for element in self.elements() if isinstance(element, Field))

    def elements(self) -> Iterator[Element]:
        """All elements, in the order of the form."""
        for page in self.pages:
            yield from page.elements

    def document(self) -> dict[str, Any]:
        """The canonical JSON document: what differs from the defaults, and the languages.

        It parses to an equal definition.
        """
        document = self.model_dump(mode="json", exclude_defaults=True)
        return {**document, "languages": list(self.languages)}


def definition_schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of a definition."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **Definition.model_json_schema()}
