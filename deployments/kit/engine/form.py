"""A published version, ready to check answers: everything that can be decided before an answer comes, is."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import islice
from typing import Any, Final

from deployments.kit.engine.columns import LABELLED, Column, Kind, Style, merge
from deployments.kit.engine.compiler import Compiler, Display, Item, Rule
from deployments.kit.engine.decision import Decision
from deployments.kit.engine.definition import Definition
from deployments.kit.engine.expressions import CLOCK
from deployments.kit.engine.expressions.types import DATE, DATETIME, NUMBER, TRUTH
from deployments.kit.engine.faults import MAX_FAULTS, pointer
from deployments.kit.engine.fields import Field
from deployments.kit.engine.fields.files import FileRules
from deployments.kit.engine.logic import logic_of
from deployments.kit.engine.meaning import answer_types
from deployments.kit.engine.plan import Plan, plan
from deployments.kit.engine.steps import Step, run
from deployments.kit.errors import Fault

_KINDS: Final[Mapping[str, Kind]] = {NUMBER: "number", TRUTH: "boolean", DATE: "date", DATETIME: "datetime"}
_NOT_AN_OBJECT: Final = Fault("/answers", "type", "The answers must be an object.")


@dataclass(frozen=True, slots=True)
class CompiledForm:
    """A definition compiled by `compile_form`. Immutable and safe to share between threads; it cannot be pickled."""

    definition: Definition
    columns: tuple[Column, ...]
    file_fields: Mapping[str, FileRules]
    """What each field of files allows, by its id; those inside of groups, too."""
    _plan: Plan
    _steps: tuple[Step, ...]
    _ids: frozenset[str]
    _marks: tuple[str, ...]
    _timed: bool
    _rules: tuple[Rule, ...]
    _displays: tuple[Display, ...]
    _items: Mapping[str, Item]
    _unique: tuple[Field, ...]

    def check(
        self, answers: object, *, partial: bool = False, now: datetime | None = None
    ) -> tuple[dict[str, Any], tuple[Fault, ...]]:
        """The normalised answers and all faults, at most 100.

        Any JSON value may be given; nothing is raised. null, "", [], {} and blank texts count as absent. Answers to
        hidden fields, and on pages that are not reached, are dropped unchecked, unless a faulty answer hides them: then
        they are checked too, so that every fault is told at once. Answers with a fault are left out. Calculated values
        are put in, whatever is given for them. `partial` does not ask for required answers, nor for the rules over
        several. `now` is the time for `today()` and `now()`, by default the current one. Normalised answers are JSON
        and check to themselves.
        """
        if type(answers) is not dict:
            return {}, (_NOT_AN_OBJECT,)
        values: dict[str, Any] = {}
        faults: list[Fault] = []
        if self._timed:
            values[CLOCK] = _moment(now)
        doubtful = run(self._steps, answers, values, faults, partial=partial)
        if self._rules and not partial:
            faults.extend(rule.fault(values) for rule in self._rules if rule.is_broken(values, doubtful))
        for mark in self._marks:
            values.pop(mark, None)
        faults.extend(self._unknown(answers))
        return values, tuple(faults[:MAX_FAULTS])

    def decide(self, answers: Mapping[str, Any], now: datetime | None = None) -> Decision:
        """What of the form is shown, reached and required after these answers, which may be incomplete and wrong.

        Faulty answers count as absent. It is what `decide` in `serve_app/web/form/logic.js` says of answers in their
        normal form.
        """
        values: dict[str, Any] = {CLOCK: _moment(now)}
        doubtful = run(self._steps, answers, values, [], partial=True)
        visible: set[str] = set()
        required: set[str] = set()
        calculated: dict[str, Any] = {}
        for display in self._displays:
            display.decide(values, visible, required, calculated)
        for key, item in self._items.items():
            if key in visible:
                item.decide(answers.get(key), values, visible, required, calculated)
        pages = tuple(
            page.id
            for page, mark in zip(self.definition.pages, self._plan.reached, strict=True)
            if mark is None or mark in values
        )
        faults = tuple(rule.fault(values) for rule in self._rules if rule.is_broken(values, doubtful))
        return Decision(frozenset(visible), pages, frozenset(required), calculated, faults)

    def logic(self) -> dict[str, Any]:
        """What the browser needs to decide the same (`serve_app/web/form/logic.js`), as JSON."""
        return logic_of(self.definition, self._plan)

    def files(self, answers: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
        """The id of the field and of the file, for every file that the normalised answers name."""
        if not self.file_fields:
            return ()
        return tuple(
            (field_id, file_id)
            for field_id, value in _flat(answers)
            if field_id in self.file_fields
            for file_id in value
        )

    def unique(self, answers: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
        """For every normalised answer that no other response may give too: the field's id, and the answer as a text.

        Texts that differ only in letter case, blanks or the way they are encoded are the same.
        """
        found = ((field.id, field.canonical(answers[field.id])) for field in self._unique if field.id in answers)
        return tuple((field_id, text) for field_id, text in found if text is not None)

    @property
    def unique_fields(self) -> tuple[str, ...]:
        """The fields that want an answer which no other response gives."""
        rules = ((field.id, getattr(field, "validation", None)) for field in self.definition.fields)
        return tuple(field_id for field_id, validation in rules if getattr(validation, "unique", False))

    def _unknown(self, answers: dict[Any, Any]) -> Iterable[Fault]:
        if self._ids.issuperset(answers):
            return ()
        unknown = islice((key for key in answers if key not in self._ids), MAX_FAULTS)
        return (Fault(pointer("answers", key), "unknown_field", "The form has no such field.") for key in unknown)


def compile_form(definition: Definition) -> CompiledForm:
    """Compiles a definition that `parse_definition` returned; do it once for a published version."""
    parts = plan(definition)
    compiler = Compiler(definition, parts)
    return CompiledForm(
        definition=definition,
        columns=columns_of(definition),
        file_fields=compiler.file_fields(),
        _plan=parts,
        _steps=compiler.steps(),
        _ids=frozenset(field.id for field in definition.fields),
        _marks=compiler.marks(),
        _timed=compiler.timed,
        _rules=compiler.rules(),
        _displays=compiler.displays(),
        _items=compiler.items,
        _unique=tuple(field for field in definition.fields if field.is_unique()),
    )


def columns_of(definition: Definition, style: Style = LABELLED) -> tuple[Column, ...]:
    """The columns of one version, in the order of its fields."""
    columns = tuple(column for field in definition.fields for column in field.export_columns(style))
    calculated = {field.id for field in definition.fields if field.type == "calculated"}
    if not calculated:
        return columns
    types = answer_types(definition)
    return tuple(
        replace(column, kind=_KINDS.get(types[column.key], "text")) if column.key in calculated else column
        for column in columns
    )


def merged_columns(forms: Sequence[CompiledForm]) -> tuple[Column, ...]:
    """The columns of several versions of one form, oldest first, as one table.

    Columns keep their place from version to version and new ones are appended; removed fields and options are kept;
    the newest title wins. Every column reads answers of every version.
    """
    return merge(form.columns for form in forms)


def table_columns(definitions: Iterable[Definition], style: Style = LABELLED) -> tuple[Column, ...]:
    """The same of definitions, in a style."""
    return merge(columns_of(definition, style) for definition in definitions)


def _moment(now: datetime | None) -> str:
    return (now or datetime.now(UTC)).astimezone(UTC).replace(microsecond=0, tzinfo=None).isoformat() + "Z"


def _flat(answers: Mapping[str, Any]) -> Iterable[tuple[str, Any]]:
    for key, value in answers.items():
        yield key, value
        if type(value) is list:
            for item in value:
                if type(item) is dict:
                    yield from item.items()
