"""The types of elements that a form may have."""

from typing import TYPE_CHECKING, Annotated, Union

from pydantic import Discriminator

from deployments.kit.engine.fields import group, section
from deployments.kit.engine.fields.field import Element, Field
from deployments.kit.engine.fields.leaves import LEAF_TYPES

ELEMENT_TYPES: tuple[type[Element], ...] = (*LEAF_TYPES, *group.TYPES, *section.TYPES)

if TYPE_CHECKING:
    AnyElement = Element
else:
    AnyElement = Annotated[Union[ELEMENT_TYPES], Discriminator("type")]  # noqa: UP007

__all__ = ["ELEMENT_TYPES", "AnyElement", "Element", "Field"]
