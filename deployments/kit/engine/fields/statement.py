"""Texts to read, without an answer."""

from typing import Literal

from deployments.kit.engine.fields.field import Element


class Statement(Element):
    """A title and a description."""

    type: Literal["statement"]


TYPES = (Statement,)
