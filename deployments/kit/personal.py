"""Which answers are personal data."""

from collections.abc import Iterable
from typing import Any

from deployments.kit.engine import Definition


def personal_fields(definitions: Iterable[Definition]) -> frozenset[str]:
    """The fields with personal data in any of a form's versions: what was personal once stays so."""
    return frozenset(
        field.id
        for definition in definitions
        for field in definition.fields
        if _is_marked(field.model_dump(mode="json"))
    )


def _is_marked(part: Any) -> bool:
    """Whether an element is marked, or anything inside of it: an answer is shown whole or not at all."""
    if isinstance(part, dict):
        return part.get("personal") is True or any(_is_marked(inner) for inner in part.values())
    return isinstance(part, list) and any(_is_marked(inner) for inner in part)
