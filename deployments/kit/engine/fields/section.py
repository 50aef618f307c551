"""A titled run of elements on a page."""

from typing import TYPE_CHECKING, Annotated, Final, Literal, Union

from pydantic import Discriminator, Strict
from pydantic import Field as Attribute

from deployments.kit.engine.fields import group
from deployments.kit.engine.fields.field import Condition, Element
from deployments.kit.engine.fields.leaves import LEAF_TYPES

MAX_INSIDE: Final = 1_000

if TYPE_CHECKING:
    Inside = Element
else:
    Inside = Annotated[Union[(*LEAF_TYPES, *group.TYPES)], Discriminator("type")]


class Section(Element):
    """A title over some elements. `visible_if` hides all of them, `required_if` requires an answer to each field."""

    type: Literal["section"]
    required_if: Condition | None = None
    """An answer to each of its fields must be given when this expression holds."""
    elements: Annotated[tuple[Inside, ...], Strict(False), Attribute(max_length=MAX_INSIDE)]
    """What is in the section."""


TYPES: tuple[type[Element], ...] = (Section,)
