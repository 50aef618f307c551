"""Options to choose from: ids that stay, labels that may change."""

from collections.abc import Iterable, Iterator
from typing import Annotated, Final

from pydantic import Field as Attribute
from pydantic import PlainValidator, Strict, StringConstraints, WithJsonSchema
from pydantic_core import PydanticCustomError

from deployments.kit.engine.columns import Style
from deployments.kit.engine.fields.field import Label, Model
from deployments.kit.errors import Fault

MAX_OPTIONS = 1_000
MAX_SCORE: Final = 1_000_000_000

OptionId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_-]{0,63}$")]


def _score(value: object) -> int | float:
    if type(value) is not int and type(value) is not float:
        raise PydanticCustomError("definition.type", "This must be a number.")
    if not -MAX_SCORE <= value <= MAX_SCORE:
        raise PydanticCustomError("definition.range", "This must be between plus and minus one billion.")
    return value


Score = Annotated[
    int | float,
    PlainValidator(_score),
    WithJsonSchema({"type": "number", "minimum": -MAX_SCORE, "maximum": MAX_SCORE}),
]


class Option(Model):
    """One thing to choose: `id` is stored, `label` is shown and exported, `score` is what `score()` adds up."""

    id: OptionId
    """What is stored; unique in its list."""
    label: Label
    """What is shown and exported."""
    score: Score | None = None
    """What `score()` adds up when it is chosen; 0 when left out."""


# JSON has lists, the model is immutable: only here a list is taken for a tuple.
Options = Annotated[tuple[Option, ...], Strict(False), Attribute(min_length=1, max_length=MAX_OPTIONS)]


def option_ids(options: Iterable[Option]) -> frozenset[str]:
    """The ids of `options`."""
    return frozenset(option.id for option in options)


def scores(options: Iterable[Option]) -> dict[str, float]:
    """The score of each option id; 0 for those that name none."""
    return {option.id: option.score or 0 for option in options}


def labels(options: Iterable[Option]) -> dict[str, str]:
    """The label of each option id."""
    return {option.id: option.label for option in options}


def told(options: Iterable[Option], style: Style) -> dict[str, str]:
    """What stands in a table for each option id."""
    return {option.id: option.label if style.labels else option.id for option in options}


def duplicate_faults(options: Iterable[Option], name: str) -> Iterator[Fault]:
    """A fault for each option whose id another one in the list `name` has already."""
    seen: set[str] = set()
    for index, option in enumerate(options):
        if option.id in seen:
            yield Fault(f"/{name}/{index}/id", "definition.duplicate_id", f"The id '{option.id}' is used twice.")
        seen.add(option.id)
