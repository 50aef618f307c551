"""What a new version of a published form may not change."""

from collections.abc import Iterator, Mapping

from deployments.kit.engine.definition import Definition
from deployments.kit.engine.expressions.types import ANY, TEXTS
from deployments.kit.engine.faults import MAX_FAULTS
from deployments.kit.engine.fields import Field
from deployments.kit.engine.meaning import answer_types
from deployments.kit.engine.outline import Entry, Outline
from deployments.kit.errors import Fault

_TEXT_TYPES = ("short_text", "long_text")


def incompatible_changes(old: Definition, new: Definition) -> tuple[Fault, ...]:
    """The faults of `new` as the next version of the published `old`; pointers go into `new`.

    A field keeps its type, so that its answers keep their meaning. The exception: a field whose answers are texts
    (texts, e-mail, date, ...) may become a text. It stays in its group, or outside of groups, so that it keeps its
    column. A calculated field goes on to give numbers, texts or truths. Fields may be added and removed.
    """
    published = {entry.element.id: entry for entry in Outline.of(old).elements if isinstance(entry.element, Field)}
    types = answer_types(old), answer_types(new)
    faults: list[Fault] = []
    for entry in Outline.of(new).elements:
        before = published.get(entry.element.id)
        if before is not None and isinstance(before.element, Field):
            faults.extend(_changes(before, entry, before.element))
            faults.extend(_other_values(entry, *types))
    return tuple(faults)[:MAX_FAULTS]


def _changes(before: Entry, after: Entry, field: Field) -> Iterator[Fault]:
    if not _may_become(field, after.element.type):
        detail = f"The published field '{field.id}' has the type {field.type}."
        yield Fault(f"{after.place}/type", "definition.type_changed", detail)
    elif (before.group and before.group.id) != (after.group and after.group.id):
        where = "outside of groups" if before.group is None else f"in the group '{before.group.id}'"
        yield Fault(f"{after.place}/id", "definition.moved", f"The published field '{field.id}' stands {where}.")


def _other_values(after: Entry, old: Mapping[str, str], new: Mapping[str, str]) -> Iterator[Fault]:
    name = after.element.id
    if after.element.type != "calculated" or name not in old or name not in new:
        return
    before, now = old[name], new[name]
    # What is always null may become anything, and dates are texts.
    if before != now and ANY not in (before, now) and not {before, now} <= TEXTS:
        yield Fault(f"{after.place}/value", "definition.type_changed", f"The published '{name}' is a {before}.")


def _may_become(before: Field, after: str) -> bool:
    return before.type == after or (before.text_like and after in _TEXT_TYPES)
