"""What a form is: pages of elements, as the tenant wrote it and as it is stored."""

from collections.abc import Iterator
from functools import cached_property
from typing import Annotated, Any, Final, Self

from pydantic import Field as Attribute
from pydantic import Strict

from deployments.kit.engine.fields import AnyElement, Element, Field
from deployments.kit.engine.fields.field import Condition, Id, Label, Model, Prose
from deployments.kit.engine.fields.group import GroupField
from deployments.kit.engine.fields.section import Section
from deployments.kit.engine.translations import Buttons, Language, Translation, best_language, translated

MAX_PAGES: Final = 50
MAX_ELEMENTS: Final = 1_000
MAX_RULES: Final = 200
END: Final = "end"


class Jump(Model):
    """Where a page leads: to the page `to`, further down, or to the `end`, when the condition `if` holds or is left
    out."""

    condition: Condition | None = Attribute(default=None, alias="if")
    """When the jump is taken; always when left out."""
    to: Id
    """The id of a page below, or `end`."""


class Page(Model):
    """One page: elements in their order.

    `visible_if` leaves the page out, `required_if` requires an answer to each of its fields. The first of `next` whose
    condition holds says which page follows, else it is the one below. Answers on pages that are not reached count as
    hidden.
    """

    id: Id
    """Names the page; unique among pages."""
    title: Label | None = None
    """The title of the page."""
    description: Prose | None = None
    """More about the page."""
    visible_if: Condition | None = None
    """The page is shown when this expression holds."""
    required_if: Condition | None = None
    """An answer to each of its fields must be given when this expression holds."""
    elements: Annotated[tuple[AnyElement, ...], Strict(False), Attribute(max_length=MAX_ELEMENTS)]
    """What is on the page."""
    next: Annotated[tuple[Jump, ...], Strict(False), Attribute(max_length=MAX_PAGES)] = ()
    """Where the page leads; the first that holds counts."""

    def all_elements(self) -> Iterator[Element]:
        """The elements in their order; a section comes before those in it. What is in a group belongs to the group."""
        for element in self.elements:
            yield element
            if isinstance(element, Section):
                yield from element.elements


class Rule(Model):
    """A condition over several answers that must hold; else `message` is told at the first of `fields` that is shown.

    It is not asked when none of its `fields` is shown, nor of partial answers.
    """

    id: Id
    """Names the rule; its fault has the code `rule.<id>`."""
    check: Condition
    """The expression that must hold."""
    message: Label
    """What to say when it does not."""
    fields: Annotated[tuple[Id, ...], Strict(False), Attribute(max_length=100)] = ()
    """The fields that it is about."""


class Definition(Model):
    """A form definition. Made by `parse_definition`, which also checks what a schema cannot say.

    The texts are in the first of `languages`; `translations` has them in the others.
    """

    title: Label | None = None
    """The title of the form."""
    description: Prose | None = None
    """What the form is about."""
    languages: Annotated[tuple[Language, ...], Strict(False), Attribute(min_length=1, max_length=50)] = ("en",)
    """Tags of the languages (BCP 47); the first is that of the texts."""
    buttons: Buttons = Buttons()
    """What the buttons say."""
    pages: Annotated[tuple[Page, ...], Strict(False), Attribute(min_length=1, max_length=MAX_PAGES)]
    """The pages in their order."""
    rules: Annotated[tuple[Rule, ...], Strict(False), Attribute(max_length=MAX_RULES)] = ()
    """Conditions over several answers."""
    translations: Annotated[dict[Language, Translation], Attribute(default_factory=dict, max_length=50)]
    """The texts in the other languages."""

    @cached_property
    def fields(self) -> tuple[Field, ...]:
        """The elements that have an answer of their own, in the order of the form."""
        return tuple(element for element in self.elements() if isinstance(element, Field))

    def elements(self) -> Iterator[Element]:
        """All elements, in the order of the form, those of sections too; what is in a group belongs to the group."""
        for page in self.pages:
            yield from page.all_elements()

    def inner_fields(self) -> Iterator[tuple[GroupField, Field]]:
        """The fields inside of groups, each with its group."""
        for field in self.fields:
            if isinstance(field, GroupField):
                for inner in field.fields:
                    yield field, inner

    def localized(self, language: str) -> Self:
        """The form in the best of its languages for `language` (RFC 4647 lookup), with no translations left in it.

        `languages` then begins with the one chosen. Texts that are not translated stay in the form's first language.
        """
        chosen = best_language(self.languages, language)
        if not self.translations and chosen == self.languages[0]:
            return self
        document = self.document()
        document.pop("translations", None)
        document["languages"] = [chosen, *(other for other in self.languages if other != chosen)]
        translation = self.translations.get(chosen)
        return type(self).model_validate(document if translation is None else translated(document, translation))

    def document(self) -> dict[str, Any]:
        """The canonical JSON document: what differs from the defaults, and the languages.

        It parses to an equal definition.
        """
        document = self.model_dump(mode="json", exclude_defaults=True, by_alias=True)
        return {**document, "languages": list(self.languages)}


def definition_schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of a definition."""
    schema = Definition.model_json_schema()
    _close(schema)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def _close(part: Any) -> None:
    # What has no key of the right form is refused, which pydantic leaves unsaid.
    if isinstance(part, list):
        for item in part:
            _close(item)
    elif isinstance(part, dict):
        if "patternProperties" in part:
            part.setdefault("additionalProperties", False)
        for item in part.values():
            _close(item)
