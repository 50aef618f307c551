"""A published version, ready to check answers: everything that can be decided before an answer comes, is."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

from deployments.kit.engine.columns import Column, merge
from deployments.kit.engine.definition import Definition
from deployments.kit.engine.expressions import Condition, Expression, View, parse_expression
from deployments.kit.engine.faults import MAX_FAULTS, pointer
from deployments.kit.engine.fields import Field
from deployments.kit.engine.fields.field import Validator
from deployments.kit.engine.visibility import visibility_order
from deployments.kit.errors import Fault

_NOT_AN_OBJECT: Final = Fault("/answers", "type", "The answers must be an object.")
_MAY_BE_EMPTY: Final = frozenset((str, list, dict, type(None)))

Step = tuple[str, Validator, Condition | None, frozenset[str], Fault | None, Condition | None]
"""Field id, validator, visible_if and the fields it reads, the fault when a required answer is absent, required_if."""


@dataclass(frozen=True, slots=True)
class CompiledForm:
    """A definition compiled by `compile_form`. Immutable and safe to share between threads; it cannot be pickled."""

    definition: Definition
    columns: tuple[Column, ...]
    _steps: tuple[Step, ...]
    _ids: frozenset[str]

    def check(  # noqa: C901 - one flat loop, because it is the hot path
        self, answers: object, *, partial: bool = False
    ) -> tuple[dict[str, Any], tuple[Fault, ...]]:
        """The normalised answers and all faults, at most 100.

        Any JSON value may be given; nothing is raised. null, "", [], {} and blank texts count as absent. Answers to
        hidden fields are dropped unchecked, unless a faulty answer hides them: then they are checked too, so that every
        fault is told at once. Answers with a fault are left out. `partial` does not ask for required
        answers. Normalised answers are JSON and check to themselves.
        """
        if type(answers) is not dict:
            return {}, (_NOT_AN_OBJECT,)
        values: dict[str, Any] = {}
        faults: list[Fault] = []
        asked: list[tuple[Condition, Fault]] = []
        doubtful: set[str] = set()
        get = answers.get
        for field_id, validate, visible, reads, missing, required in self._steps:
            raw = get(field_id)
            if visible is not None and not visible(values):
                if doubtful and not doubtful.isdisjoint(reads):
                    doubtful.add(field_id)
                    _check_if_given(raw, validate, faults)
                continue
            if raw or type(raw) not in _MAY_BE_EMPTY:
                before = len(faults)
                value = validate(raw, faults)
                if value is not None:
                    values[field_id] = value
                    continue
                if len(faults) != before:
                    doubtful.add(field_id)
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
        faults.extend(self._unknown(answers))
        return values, tuple(faults[:MAX_FAULTS])

    def _unknown(self, answers: dict[Any, Any]) -> Iterable[Fault]:
        if self._ids.issuperset(answers):
            return ()
        unknown = islice((key for key in answers if key not in self._ids), MAX_FAULTS)
        return (Fault(pointer("answers", key), "unknown_field", "The form has no such field.") for key in unknown)


def _check_if_given(raw: object, validate: Validator, faults: list[Fault]) -> None:
    if raw or type(raw) not in _MAY_BE_EMPTY:
        validate(raw, faults)


def compile_form(definition: Definition) -> CompiledForm:
    """Compiles a definition that `parse_definition` returned; do it once for a published version."""
    fields = {field.id: field for field in definition.fields}
    views: dict[str, View] = {field.id: field.view for field in definition.fields}
    visibility = {
        name: None if field.visible_if is None else parse_expression(field.visible_if) for name, field in fields.items()
    }
    conditions = {
        name: None if expression is None else expression.compile(views) for name, expression in visibility.items()
    }
    return CompiledForm(
        definition=definition,
        columns=tuple(column for field in definition.fields for column in field.export_columns()),
        _steps=tuple(
            _step(fields[name], conditions[name], visibility[name], views) for name in visibility_order(visibility)
        ),
        _ids=frozenset(fields),
    )


def merged_columns(forms: Sequence[CompiledForm]) -> tuple[Column, ...]:
    """The columns of several versions of one form, oldest first, as one table.

    Columns keep their place from version to version and new ones are appended; removed fields and options are kept;
    the newest title wins. Every column reads answers of every version.
    """
    return merge(form.columns for form in forms)


def _step(field: Field, visible: Condition | None, expression: Expression | None, views: dict[str, View]) -> Step:
    required_if = None
    if field.required_if is not None and not field.required:
        required_if = parse_expression(field.required_if).compile(views)
    asked = field.required or required_if is not None
    missing = field.fault("required", "An answer is required.") if asked else None
    reads = frozenset(() if expression is None else (path.field_id for path in expression.paths))
    return field.id, field.compile(), visible, reads, missing, required_if
