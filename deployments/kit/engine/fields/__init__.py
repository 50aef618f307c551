"""The types of elements that a form may have. A new type is one class, named in its family's `TYPES`."""

from typing import TYPE_CHECKING, Annotated, Union

from pydantic import Discriminator

from deployments.kit.engine.fields import boolean, choice, matrix, numeric, ranking, statement, temporal, text
from deployments.kit.engine.fields.field import Element, Field

ELEMENT_TYPES: tuple[type[Element], ...] = (
    *text.TYPES,
    *numeric.TYPES,
    *temporal.TYPES,
    *boolean.TYPES,
    *choice.TYPES,
    *ranking.TYPES,
    *matrix.TYPES,
    *statement.TYPES,
)

if TYPE_CHECKING:
    AnyElement = Element
else:
    AnyElement = Annotated[Union[ELEMENT_TYPES], Discriminator("type")]  # noqa: UP007

__all__ = ["ELEMENT_TYPES", "AnyElement", "Element", "Field"]
