"""The elements that hold no others. A new type is one class, named in its family's `TYPES`."""

from typing import TYPE_CHECKING, Annotated, Union

from pydantic import Discriminator

from deployments.kit.engine.fields import (
    boolean,
    calculated,
    choice,
    country,
    files,
    matrix,
    numeric,
    place,
    ranking,
    statement,
    temporal,
    text,
)
from deployments.kit.engine.fields.field import Element

LEAF_TYPES: tuple[type[Element], ...] = (
    *text.TYPES,
    *numeric.TYPES,
    *temporal.TYPES,
    *boolean.TYPES,
    *choice.TYPES,
    *ranking.TYPES,
    *matrix.TYPES,
    *country.TYPES,
    *place.TYPES,
    *files.TYPES,
    *calculated.TYPES,
    *statement.TYPES,
)

if TYPE_CHECKING:
    Leaf = Element
else:
    Leaf = Annotated[Union[LEAF_TYPES], Discriminator("type")]  # noqa: UP007
