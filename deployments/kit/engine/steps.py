"""The one loop that checks answers, those of a form and those of an item of a group."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from deployments.kit.engine.expressions import Condition
from deployments.kit.engine.faults import MAX_FAULTS
from deployments.kit.engine.fields.field import Validator
from deployments.kit.errors import Fault

MAY_BE_EMPTY: Final = frozenset((str, list, dict, type(None)))

Derive = Callable[[dict[str, Any], Any, bool], Any]
"""Takes the answers so far, the raw answer and whether answers are partial; returns what is to be checked instead."""

Step = tuple[str, Validator, Condition | None, frozenset[str], Fault | None, Condition | None, Derive | None]
"""Key, validator, whether it is shown, the keys it reads, the fault when a required answer is absent, required_if, and
where the answer comes from when it is not given."""


def run(  # noqa: C901 - one flat loop, because it is the hot path
    steps: tuple[Step, ...], answers: Mapping[Any, Any], values: dict[str, Any], faults: list[Fault], *, partial: bool
) -> set[str]:
    """Puts the normalised answers into `values` and what is wrong into `faults`.

    Returns the keys in doubt: those with a fault, and what is decided by them.
    """
    asked: list[tuple[Condition, Fault]] = []
    doubtful: set[str] = set()
    get = answers.get
    for key, validate, visible, reads, missing, required, derive in steps:
        raw = get(key)
        if visible is not None and not visible(values):
            if doubtful and not doubtful.isdisjoint(reads):
                doubtful.add(key)
                if derive is not None:
                    raw = derive(values, raw, partial)
                if raw or type(raw) not in MAY_BE_EMPTY:
                    validate(raw, faults)
            continue
        if derive is not None:
            if doubtful and not doubtful.isdisjoint(reads):
                doubtful.add(key)
            raw = derive(values, raw, partial)
        if raw or type(raw) not in MAY_BE_EMPTY:
            before = len(faults)
            value = validate(raw, faults)
            if value is not None:
                values[key] = value
                continue
            if len(faults) != before:
                doubtful.add(key)
                if len(faults) >= MAX_FAULTS:
                    break
                continue
        if missing is not None and not partial:
            if required is None:
                faults.append(missing)
            else:
                asked.append((required, missing))
    # Only now every answer that a required_if may read is known.
    faults.extend(missing for required, missing in asked if required(values))
    return doubtful
