"""Makes closures of a plan: the steps of checking, the rules, and what is shown."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from deployments.kit.engine.definition import Definition
from deployments.kit.engine.definition import Rule as RuleText
from deployments.kit.engine.expressions import OUTER, Condition, Expression, View, parse_expression
from deployments.kit.engine.faults import MAX_FAULTS, pointer
from deployments.kit.engine.fields import Element, Field
from deployments.kit.engine.fields.calculated import CalculatedField
from deployments.kit.engine.fields.field import Validator
from deployments.kit.engine.fields.files import FileRules, UploadField
from deployments.kit.engine.fields.group import GroupField
from deployments.kit.engine.plan import Part, Plan
from deployments.kit.engine.steps import MAY_BE_EMPTY, Derive, Step, run
from deployments.kit.errors import Fault

_PREFIX: Final = len("/answers")


@dataclass(frozen=True, slots=True)
class Display:
    """When an element is shown, and when it asks for an answer (None: never)."""

    id: str
    visible: Condition | None
    required: Condition | None
    calculated: bool

    def decide(
        self,
        values: Mapping[str, Any],
        visible: set[str],
        required: set[str],
        calculated: dict[str, Any],
        prefix: str = "",
    ) -> None:
        """Adds what holds for this element; `prefix` says in which item of a group it stands."""
        if self.visible is not None and not self.visible(values):
            return
        name = prefix + self.id
        visible.add(name)
        if self.required is not None and self.required(values):
            required.add(name)
        if self.calculated and self.id in values:
            calculated[name] = values[self.id]


@dataclass(frozen=True, slots=True)
class Item:
    """How an item of a group is checked. `entered` are the fields that somebody answers, not those calculated."""

    group_id: str
    steps: tuple[Step, ...]
    displays: tuple[Display, ...]
    ids: frozenset[str]
    entered: frozenset[str]

    def check(
        self, index: int, answers: dict[Any, Any], context: tuple[dict[str, Any], bool], faults: list[Fault]
    ) -> dict[str, Any] | None:
        """The normalised answers of the item, None when it has none. `context` is what is around it, and `partial`."""
        around, partial = context
        unknown = [key for key in answers if key not in self.ids]
        if not unknown and not any(map(_is_given, map(answers.get, self.entered))):
            return None
        values: dict[str, Any] = {OUTER: around}
        found: list[Fault] = []
        run(self.steps, answers, values, found, partial=partial)
        del values[OUTER]
        place = pointer("answers", self.group_id, index)
        faults.extend(replace(fault, pointer=place + fault.pointer[_PREFIX:]) for fault in found)
        detail = "The group has no such field."
        faults.extend(Fault(place + pointer(key), "unknown_field", detail) for key in unknown[:MAX_FAULTS])
        return values if not self.entered.isdisjoint(values) else None

    def decide(
        self,
        raw: Any,
        around: dict[str, Any],
        visible: set[str],
        required: set[str],
        calculated: dict[str, Any],
    ) -> None:
        """Adds what holds for the elements of each item."""
        for index, answers in enumerate(raw if type(raw) is list else ()):
            if type(answers) is dict:
                values: dict[str, Any] = {OUTER: around}
                run(self.steps, answers, values, [], partial=True)
                for display in self.displays:
                    display.decide(values, visible, required, calculated, f"{self.group_id}/{index}/")


@dataclass(frozen=True, slots=True)
class Rule:
    """A condition over several answers. `shown` are the fields where its fault may stand, and when they are shown."""

    code: str
    message: str
    check: Condition
    reads: frozenset[str]
    shown: tuple[tuple[str, Condition | None], ...]

    def is_broken(self, values: Mapping[str, Any], doubtful: set[str]) -> bool:
        """Whether the answers break it; not when an answer that it reads is faulty, or none of its fields is shown."""
        if not doubtful.isdisjoint(self.reads) or (self.shown and self._first(values) is None):
            return False
        return not self.check(values)

    def fault(self, values: Mapping[str, Any]) -> Fault:
        """What to say at the first of its fields that is shown."""
        first = self._first(values)
        return Fault(pointer("answers") if first is None else pointer("answers", first), self.code, self.message)

    def _first(self, values: Mapping[str, Any]) -> str | None:
        return next((name for name, visible in self.shown if visible is None or visible(values)), None)


class Compiler:
    """Compiles one definition. `timed` says whether any expression reads the clock."""

    def __init__(self, definition: Definition, plan: Plan) -> None:
        fields = [*definition.fields, *(field for _, field in definition.inner_fields())]
        self._definition = definition
        self._plan = plan
        self._fields = fields
        self._views: dict[str, View] = {field.id: field.view for field in fields if type(field).view is not Field.view}
        self._scores: dict[str, View] = {field.id: worth for field in fields if (worth := field.worth()) is not None}
        self._checks = {rule.id: parse_expression(rule.check) for rule in definition.rules}
        self.items: dict[str, Item] = {
            part.key: self._item(part, part.element) for part in plan.parts if isinstance(part.element, GroupField)
        }
        self.timed = any(expression.timed for expression in self._expressions())

    def steps(self) -> tuple[Step, ...]:
        """What `run` does for the form."""
        return tuple(self._step(part) for part in self._plan.parts)

    def marks(self) -> tuple[str, ...]:
        """What has to be taken out of the answers in the end."""
        marks = [part.key for part in self._plan.parts if part.element is None]
        return (*marks, *(("/now",) if self.timed else ()))

    def rules(self) -> tuple[Rule, ...]:
        """The rules over several answers."""
        shown = {part.key: self._visible(part) for part in self._plan.parts if part.element is not None}
        return tuple(self._rule(rule, shown) for rule in self._definition.rules)

    def displays(self) -> tuple[Display, ...]:
        """Every element outside of groups."""
        return tuple(self._display(part, part.element) for part in self._plan.all_parts() if part.element is not None)

    def file_fields(self) -> dict[str, FileRules]:
        """What each field of files allows."""
        return {field.id: field.rules() for field in self._fields if isinstance(field, UploadField)}

    def condition(self, expression: Expression) -> Condition:
        """A condition on the answers outside of groups."""
        return self._condition(expression)

    def _expressions(self) -> Iterator[Expression]:
        yield from self._checks.values()
        for part in self._plan.all_parts():
            for inner in (part, *part.items, *part.inner_displays):
                yield from (*inner.conditions(), *inner.required_if)

    def _rule(self, rule: RuleText, shown: Mapping[str, Condition | None]) -> Rule:
        expression = self._checks[rule.id]
        return Rule(
            code=f"rule.{rule.id}",
            message=rule.message,
            check=self._condition(expression),
            reads=frozenset(path.field_id for path in expression.paths),
            shown=tuple((name, shown[name]) for name in rule.fields),
        )

    def _item(self, part: Part, group: GroupField) -> Item:
        return Item(
            group_id=group.id,
            steps=tuple(self._step(inner, inside=True) for inner in part.items),
            displays=tuple(
                self._display(inner, inner.element, inside=True)
                for inner in (*part.items, *part.inner_displays)
                if inner.element is not None
            ),
            ids=frozenset(field.id for field in group.fields),
            entered=frozenset(field.id for field in group.fields if not isinstance(field, CalculatedField)),
        )

    def _display(self, part: Part, element: Element, *, inside: bool = False) -> Display:
        return Display(
            id=element.id,
            visible=self._visible(part, inside=inside),
            required=self._required(part, inside=inside),
            calculated=isinstance(element, CalculatedField),
        )

    def _step(self, part: Part, *, inside: bool = False) -> Step:
        visible, reads = self._visible(part, inside=inside), frozenset(part.reads())
        field = part.element
        if not isinstance(field, Field):
            derive: Derive = self._jump(part) if part.jumps else _reached
            return part.key, _taken, visible, reads, None, None, derive
        required = None if field.required else self._required(part, inside=inside)
        asked = field.required or required is not None
        missing = field.fault("required", "An answer is required.") if asked else None
        validate, derived = self._answer(part, field, inside=inside)
        if inside:
            # Doubts go from answer to answer of the same item.
            reads = frozenset(part.depends_on_items())
        return part.key, validate, visible, reads, missing, required, derived

    def _answer(self, part: Part, field: Field, *, inside: bool) -> tuple[Validator, Derive | None]:
        if isinstance(field, GroupField):
            return field.compile_items(self.items[field.id].check), _with_surroundings
        if part.value is None:
            return field.compile(), None
        value = part.value.operand(self._views, self._scores, inside=inside)
        return field.compile(), lambda values, _raw, _partial: value(values)

    def _jump(self, part: Part) -> Derive:
        within, following = part.within, part.page + 1
        jumps = tuple(
            (None if condition is None else self._condition(condition), target) for condition, target in part.jumps
        )

        def jump(values: dict[str, Any], _raw: Any, _partial: bool) -> int | None:
            if within is not None and within not in values:
                return None
            for condition, target in jumps:
                if condition is None or condition(values):
                    return target
            return following

        return jump

    def _visible(self, part: Part, *, inside: bool = False) -> Condition | None:
        return _all_of(tuple(self._hurdles(part, inside=inside)))

    def _hurdles(self, part: Part, *, inside: bool) -> Iterator[Condition]:
        within, after, page = part.within, part.after, part.page
        if within is not None:
            yield lambda values: within in values
        if after:
            yield lambda values: all(values.get(mark, 0) <= page for mark in after)
        if part.visible_if is not None:
            yield self._condition(part.visible_if, inside=inside)

    def _required(self, part: Part, *, inside: bool) -> Condition | None:
        if isinstance(part.element, Field) and part.element.required:
            return lambda _values: True
        return _any_of(tuple(self._condition(expression, inside=inside) for expression in part.required_if))

    def _condition(self, expression: Expression, *, inside: bool = False) -> Condition:
        return expression.compile(self._views, self._scores, inside=inside)


def _is_given(raw: Any) -> bool:
    return bool(raw) or type(raw) not in MAY_BE_EMPTY


def _all_of(conditions: tuple[Condition, ...]) -> Condition | None:
    if len(conditions) < 2:
        return conditions[0] if conditions else None
    return lambda values: all(condition(values) for condition in conditions)


def _any_of(conditions: tuple[Condition, ...]) -> Condition | None:
    if len(conditions) < 2:
        return conditions[0] if conditions else None
    return lambda values: any(condition(values) for condition in conditions)


def _reached(_values: dict[str, Any], _raw: Any, _partial: bool) -> bool:
    return True


def _taken(raw: Any, _faults: list[Fault]) -> Any:
    return raw


def _with_surroundings(values: dict[str, Any], raw: Any, partial: bool) -> Any:
    return (raw, values, partial) if _is_given(raw) else None
