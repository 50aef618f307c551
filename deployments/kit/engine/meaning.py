"""Whether the expressions of a definition make sense: their syntax, what they read, their types, and no circles."""

from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

from deployments.kit.engine.definition import Definition
from deployments.kit.engine.expressions import Expression, ExpressionError, Path, parse_expression
from deployments.kit.engine.expressions.types import ANY, LIST, MAP, NULL, TypeFault, infer
from deployments.kit.engine.faults import pointer
from deployments.kit.engine.fields import Field
from deployments.kit.engine.fields.calculated import CalculatedField
from deployments.kit.engine.fields.group import GroupField
from deployments.kit.engine.outline import Outline
from deployments.kit.engine.plan import cycle_faults
from deployments.kit.errors import Fault

MAX_EXPRESSIONS: Final = 200_000
"""The most characters that all expressions of a form have together, those inside of a group once for each item; it
bounds the time of publishing and of checking."""
MAX_TEXT_CALLS: Final = 2_000
"""The most calls of functions that make texts, counted in the same way."""

_TOO_LONG: Final = Fault(
    "/pages", "definition.too_long", f"All expressions together have at most {MAX_EXPRESSIONS} characters."
)


class Written(NamedTuple):
    """An expression as it stands in the definition, and the group around it."""

    place: str
    text: str
    group: GroupField | None = None


def expression_faults(outline: Outline) -> Iterator[Fault]:
    """Every fault of an expression."""
    written = [*_of_elements(outline), *_of_pages(outline), *_of_rules(outline)]
    if sum(len(text) * _times(group) for _, text, group in written) > MAX_EXPRESSIONS:
        yield _TOO_LONG
        return
    known: dict[str, Expression] = {}
    types = _Types(outline, known)
    for place, text, group in written:
        try:
            known[text] = expression = known.get(text) or parse_expression(text)
        except ExpressionError as error:
            yield Fault(place, "definition.expression", str(error))
            continue
        found = [*_path_faults(place, expression, types, group)]
        yield from found
        if not found:
            types.sound.append((place, expression, group))
    calls = sum(expression.text_calls * _times(group) for _, expression, group in types.sound)
    if calls > MAX_TEXT_CALLS:
        yield Fault("/pages", "definition.too_long", f"All expressions make at most {MAX_TEXT_CALLS} texts.")
    yield from types.faults()
    if outline.definition is not None:
        yield from cycle_faults(outline.definition, known)


def answer_types(definition: Definition) -> dict[str, str]:
    """What the answer of each field outside of groups is: `number`, `text`, `truth`, `date`, `time`, `datetime`,
    `map`, `list of <type>`; of a calculated field what it gives, `any` when that is always null."""
    known: dict[str, Expression] = {}
    for field in definition.fields:
        for inner in (field, *(field.fields if isinstance(field, GroupField) else ())):
            if isinstance(inner, CalculatedField):
                known[inner.value] = parse_expression(inner.value)
    types = _Types(Outline.of(definition), known)
    return {field.id: types.of_field(field) for field in definition.fields}


def _times(group: GroupField | None) -> int:
    return 1 if group is None else group.max_items


def _of_elements(outline: Outline) -> Iterator[Written]:
    for place, element, group in outline.elements:
        for name in ("visible_if", "required_if", "value"):
            text = getattr(element, name, None)
            if text is not None:
                yield Written(f"{place}/{name}", text, group)


def _of_pages(outline: Outline) -> Iterator[Written]:
    for index, page in enumerate(outline.definition.pages if outline.definition else ()):
        place = pointer("pages", index)
        if page.visible_if is not None:
            yield Written(f"{place}/visible_if", page.visible_if)
        if page.required_if is not None:
            yield Written(f"{place}/required_if", page.required_if)
        for position, jump in enumerate(page.next):
            if jump.condition is not None:
                yield Written(f"{place}{pointer('next', position, 'if')}", jump.condition)


def _of_rules(outline: Outline) -> Iterator[Written]:
    for index, rule in enumerate(outline.definition.rules if outline.definition else ()):
        yield Written(pointer("rules", index, "check"), rule.check)


class _Types:
    """What every field is in expressions; calculated ones are what their expression is."""

    def __init__(self, outline: Outline, known: Mapping[str, Expression]) -> None:
        entries = [(entry.element, entry.group) for entry in outline.elements if isinstance(entry.element, Field)]
        self.fields = {field.id: field for field, group in entries if group is None}
        self.inside = {field.id: (field, group) for field, group in entries if group is not None}
        self.broken = outline.broken_ids
        self.sound: list[tuple[str, Expression, GroupField | None]] = []
        self._known = known
        self._calculated: dict[str, str] = {}

    def faults(self) -> Iterator[Fault]:
        """Every expression whose types do not fit, and every calculated value that is a list or a map."""
        for place, expression, _ in self.sound:
            try:
                found = infer(expression.root, self.of)
            except TypeFault as fault:
                yield Fault(place, "definition.expression_type", str(fault))
                continue
            if place.endswith("/value") and (found == MAP or found.startswith(LIST)):
                detail = f"A calculated value is a number, a text, a date or a truth, not a {found}."
                yield Fault(place, "definition.expression_type", detail)

    def of(self, path: Path) -> str:
        """The type of what a path reads."""
        field = self.fields.get(path.field_id) if path.root == "answers" else self._inner(path.field_id)
        if field is None:
            return ANY
        if path.part is None:
            return self.of_field(field)
        if isinstance(field, GroupField):
            inner = self._inner(path.part)
            return LIST + (ANY if inner is None else self.of_field(inner))
        return field.type_of_part(path.part)

    def _inner(self, field_id: str) -> Field | None:
        found = self.inside.get(field_id)
        return found[0] if found else None

    def of_field(self, field: Field) -> str:
        """The type of a field's answer."""
        if not isinstance(field, CalculatedField):
            return field.value_type
        if field.id not in self._calculated:
            self._calculated[field.id] = ANY  # A circle is told of elsewhere.
            expression = self._known.get(field.value)
            try:
                found = ANY if expression is None else infer(expression.root, self.of)
            except TypeFault:
                found = ANY
            self._calculated[field.id] = ANY if found == NULL else found
        return self._calculated[field.id]


def _path_faults(place: str, expression: Expression, types: _Types, group: GroupField | None) -> Iterator[Fault]:
    for path in expression.paths:
        detail = _path_detail(path, types, group)
        if detail is not None:
            yield Fault(place, "definition.expression", f"{detail} (character {path.position}).")


def _path_detail(path: Path, types: _Types, group: GroupField | None) -> str | None:
    name = path.field_id
    if name in types.broken:
        return None
    if path.root == "item":
        if group is None:
            return "'item' is known only inside of a group"
        found = types.inside.get(name)
        field = None if found is None or found[1] is not group else found[0]
        if field is None:
            return f"The group '{group.id}' has no field '{name}'"
    else:
        field = types.fields.get(name)
        if field is None and name in types.inside:
            return f"The field '{name}' is inside of the group '{types.inside[name][1].id}'"
        if field is None:
            return f"There is no field '{name}'"
    if path.part is not None and path.part not in field.parts():
        return f"The field '{name}' has no part '{path.part}'"
    return None
