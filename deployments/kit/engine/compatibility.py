"""What a new version of a published form may not change."""

from deployments.kit.engine.definition import Definition
from deployments.kit.engine.faults import MAX_FAULTS
from deployments.kit.engine.fields import Field
from deployments.kit.engine.outline import Outline
from deployments.kit.errors import Fault

_TEXT_TYPES = ("short_text", "long_text")


def incompatible_changes(old: Definition, new: Definition) -> tuple[Fault, ...]:
    """The faults of `new` as the next version of the published `old`; pointers go into `new`.

    A field keeps its type, so that its answers keep their meaning. The exception: a field whose answers are texts
    (texts, e-mail, date, ...) may become a text. Fields may be added and removed.
    """
    types = {field.id: field for field in old.fields}
    faults = (
        Fault(
            f"{place}/type",
            "definition.type_changed",
            f"The published field '{field.id}' has the type {before.type}.",
        )
        for place, field in Outline.of(new).elements
        if (before := types.get(field.id)) is not None and not _may_become(before, field.type)
    )
    return tuple(faults)[:MAX_FAULTS]


def _may_become(before: Field, after: str) -> bool:
    return before.type == after or (before.text_like and after in _TEXT_TYPES)
