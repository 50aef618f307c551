"""A repeating group: some fields, answered as often as there are things to tell of."""

import json
from collections.abc import Callable, Iterator
from functools import cached_property
from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import Field as Attribute
from pydantic import Strict

from deployments.kit.engine.columns import LABELLED, Answers, Column, Style
from deployments.kit.engine.expressions.types import MAP, list_of
from deployments.kit.engine.fields.field import Element, Field, Label, Validator, bounds_fault
from deployments.kit.engine.fields.leaves import Leaf
from deployments.kit.errors import Fault

MAX_ITEMS: Final = 100
MAX_INSIDE: Final = 100
MOST_ITEMS: Final = 20
"""How many items an answer may have where the definition does not say."""

CheckItem = Callable[[int, dict[str, Any], Any, list[Fault]], dict[str, Any] | None]
"""Takes the place of an item, the item and its surroundings; returns its normalised answers, None when it has none."""


class GroupField(Field):
    """A repeating group. The answer is a list of objects, each with answers to `elements`; empty ones are dropped.

    Expressions of its elements read other answers of the same item as `item.<id>`. It is exported as one column of
    JSON. `item_title` is what the form calls an item.
    """

    value_type: ClassVar[str] = list_of(MAP)
    type: Literal["group"]
    elements: Annotated[tuple[Leaf, ...], Strict(False), Attribute(min_length=1, max_length=MAX_INSIDE)]
    """What is asked of each item."""
    min_items: int = Attribute(default=0, ge=0, le=MAX_ITEMS)
    """Fewest items of an answer."""
    max_items: int = Attribute(default=MOST_ITEMS, ge=1, le=MAX_ITEMS)
    """Most items of an answer."""
    item_title: Label | None = None
    """What an item is called."""

    @cached_property
    def fields(self) -> tuple[Field, ...]:
        """The elements that have an answer."""
        return tuple(element for element in self.elements if isinstance(element, Field))

    def faults(self) -> Iterator[Fault]:
        yield from bounds_fault(self.min_items, self.max_items, "min_items")

    def parts(self) -> frozenset[str]:
        return frozenset(field.id for field in self.fields)

    def type_of_part(self, part: str) -> str:
        return list_of(next((field.value_type for field in self.fields if field.id == part), MAP))

    def compile(self) -> Validator:
        raise NotImplementedError("A group is compiled together with its surroundings.")

    def compile_items(self, check_item: CheckItem) -> Validator:
        """The validator of `(answer, surroundings, partial)`; a partial answer may have too few items."""
        lowest, highest = self.min_items, self.max_items
        bad_type = self.fault("type", "This must be a list of objects.")
        too_few = self.fault("items.min", f"Give at least {lowest}.", min=lowest)
        too_many = self.fault("items.max", f"Give at most {highest}.", max=highest)

        def check(given: Any, faults: list[Fault]) -> list[dict[str, Any]] | None:
            raw, around, partial = given
            if type(raw) is not list:
                faults.append(bad_type)
                return None
            if len(raw) > highest:
                faults.append(too_many)
                return None
            before = len(faults)
            items: list[dict[str, Any]] = []
            for index, answers in enumerate(raw):
                if type(answers) is not dict:
                    faults.append(self.fault("type", "This must be an object.", index))
                elif (item := check_item(index, answers, (around, partial), faults)) is not None:
                    items.append(item)
            if len(faults) != before:
                return None
            if items and len(items) < lowest and not partial:
                faults.append(too_few)
                return None
            return items or None

        return check

    def export_columns(self, style: Style = LABELLED) -> tuple[Column, ...]:
        field_id = self.id

        def cell(answers: Answers) -> str:
            value = answers.get(field_id)
            return json.dumps(value, ensure_ascii=False, separators=(",", ":")) if type(value) is list else ""

        return (Column(field_id, self.title, field_id, cell),)

    def texts(self) -> dict[str, Any]:
        return {**super().texts(), **({} if self.item_title is None else {"item_title": self.item_title})}


TYPES: tuple[type[Element], ...] = (GroupField,)
