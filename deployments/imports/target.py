"""What the engine can say: the one table that decides what other formats' things become.

Whatever the engine learns is used at once: the table looks at the engine instead of repeating what it has.
"""

from functools import cache
from typing import Final

from deployments.kit.engine import Definition
from deployments.kit.engine.expressions import ExpressionError, parse_expression
from deployments.kit.engine.fields import ELEMENT_TYPES

TYPES: Final = frozenset(kind.model_fields["type"].annotation.__args__[0] for kind in ELEMENT_TYPES)  # type: ignore[union-attr]
"""The names of the element types."""

NEAREST: Final = {
    "calculated": ("hidden", "Calculated values are kept as a hidden field without their formula."),
    "country": ("short_text", "Countries are asked for as a text."),
    "address": ("long_text", "Addresses are asked for as a text."),
    "location": ("short_text", "Places are asked for as a text."),
    "file": ("statement", "Files cannot be asked for; the question is kept as a statement."),
    "image": ("statement", "Images cannot be asked for; the question is kept as a statement."),
    "signature": ("statement", "Signatures cannot be asked for; the question is kept as a statement."),
}
"""What takes the place of a type that the engine does not have, and the reason to report."""


FORMULA: Final = "value"
"""The property of a calculated field that holds its formula."""


def nearest(kind: str) -> tuple[str, str | None]:
    """The type to use for `kind`, and the reason when it is another one."""
    if kind in TYPES:
        return kind, None
    return NEAREST[kind]


def says(text: str) -> bool:
    """Whether the engine takes `text` for an expression."""
    try:
        parse_expression(text)
    except ExpressionError:
        return False
    return True


@cache
def has_rules() -> bool:
    """Whether a definition may hold rules over several fields."""
    return "rules" in Definition.model_fields
