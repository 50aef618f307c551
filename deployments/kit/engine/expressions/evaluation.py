"""Trees compiled into closures."""

import math
import operator
from collections.abc import Callable, Mapping
from typing import Any, Final

from deployments.kit.engine.expressions.functions import FUNCTIONS, kind, same, within
from deployments.kit.engine.expressions.grammar import Node, Path
from deployments.kit.engine.expressions.numbers import is_number, normal, seen

Answers = Mapping[str, Any]
Operand = Callable[[Answers], Any]
Condition = Callable[[Answers], bool]
View = Callable[[Any], Any]
"""How an expression sees the normalised answer of one field, or what that is worth as a score."""

# No id begins with a slash, so these stand beside the answers without harm.
CLOCK: Final = "/now"
"""Where the time of the evaluation stands among the answers, as `YYYY-MM-DDTHH:MM:SSZ`."""
OUTER: Final = "/outer"
"""Where the answers of the form stand among those of an item of a group."""

ARITHMETIC: Final = frozenset("+-*/%")
_DATE_LENGTH: Final = 10


def compile_node(node: Node, views: Mapping[str, View], scores: Mapping[str, View], *, inside: bool = False) -> Operand:
    """The closure of a tree over normalised answers; `inside` those of an item of a group."""
    op = node.op
    if op == "value":
        return _constant(node.args[0])
    if op in ("answer", "item"):
        return _read(node.args[0], views, outer=inside and op == "answer")
    if op in ("today", "now"):
        return _clock(inside=inside, length=_DATE_LENGTH if op == "today" else None)
    if op == "score":
        return _score(node.args[0], scores, inside=inside)
    operands = tuple(compile_node(child, views, scores, inside=inside) for child in node.args)
    if ARITHMETIC.issuperset(op):
        return _arithmetic(op, operands)
    return _operation(op, operands)


def _operation(op: str, operands: tuple[Operand, ...]) -> Operand:
    first, *others = operands
    if op in _LOGIC:
        return _LOGIC[op](operands)
    if op in _COMPARISONS:
        compare, second = _COMPARISONS[op], others[0]
        return lambda answers: compare(first(answers), second(answers))
    function = FUNCTIONS[op]
    if not others:
        return lambda answers: function(first(answers))
    return lambda answers: function(*[operand(answers) for operand in operands])


def _either(operands: tuple[Operand, ...]) -> Operand:
    condition, this, that = operands
    return lambda answers: this(answers) if condition(answers) else that(answers)


def _coalesce(operands: tuple[Operand, ...]) -> Operand:
    def coalesce(answers: Answers) -> Any:
        for operand in operands:
            value = operand(answers)
            if value is not None:
                return value
        return None

    return coalesce


def _constant(value: Any) -> Operand:
    return lambda _answers: value


def _clock(*, inside: bool, length: int | None) -> Operand:
    if inside:
        return lambda answers: answers[OUTER][CLOCK][:length]
    return lambda answers: answers[CLOCK][:length]


def _read(path: Path, views: Mapping[str, View], *, outer: bool) -> Operand:
    read = _read_view(path, views) if path.part is None else _read_part(path, views)
    return (lambda answers: read(answers[OUTER])) if outer else read


def _read_view(path: Path, views: Mapping[str, View]) -> Operand:
    field_id, view = path.field_id, views.get(path.field_id)

    def read(answers: Answers) -> Any:
        value = answers.get(field_id)
        return seen(value if value is None or view is None else view(value))

    return read


def _read_part(path: Path, views: Mapping[str, View]) -> Operand:
    field_id, part, view = path.field_id, path.part, views.get(path.part or "")

    def read(answers: Answers) -> Any:
        value = answers.get(field_id)
        if type(value) is dict:
            return seen(value.get(part))
        if type(value) is not list or not value or type(value[0]) is not dict:
            return None
        # The answers that the items of a group give to one of its fields.
        given = [item[part] for item in value if part in item]
        return [seen(answer if view is None else view(answer)) for answer in given]

    return read


def _score(node: Node, scores: Mapping[str, View], *, inside: bool) -> Operand:
    path: Path = node.args[0]
    field_id, worth = path.field_id, scores.get(path.field_id)
    outer = inside and node.op == "answer"

    def score(answers: Answers) -> Any:
        value = (answers[OUTER] if outer else answers).get(field_id)
        return None if value is None or worth is None else seen(worth(value))

    return score


def _arithmetic(signs: str, operands: tuple[Operand, ...]) -> Operand:
    first, steps = operands[0], tuple(zip(map(_SIGNS.__getitem__, signs), operands[1:], strict=True))

    def calculate(answers: Answers) -> Any:
        total = first(answers)
        if not is_number(total):
            return None
        total = float(total)
        for apply, operand in steps:
            value = operand(answers)
            if not is_number(value):
                return None
            total = apply(total, float(value))
        return normal(total)

    return calculate


def _divided(left: float, right: float) -> float:
    return left / right if right else math.nan


def _remainder(left: float, right: float) -> float:
    return math.fmod(left, right) if right and math.isfinite(left) else math.nan


def _negative(operands: tuple[Operand, ...]) -> Operand:
    operand = operands[0]

    def negative(answers: Answers) -> Any:
        value = operand(answers)
        return normal(-float(value)) if is_number(value) else None

    return negative


def _not(operands: tuple[Operand, ...]) -> Operand:
    operand = operands[0]
    return lambda answers: not operand(answers)


def _absent(operands: tuple[Operand, ...]) -> Operand:
    operand = operands[0]
    return lambda answers: operand(answers) is None


def _present(operands: tuple[Operand, ...]) -> Operand:
    operand = operands[0]
    return lambda answers: operand(answers) is not None


def _ordered(compare: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    def check(left: Any, right: Any) -> bool:
        found = kind(left)
        return found in ("text", "number") and found is kind(right) and compare(left, right)

    return check


_SIGNS: Final[Mapping[str, Callable[[float, float], float]]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": _divided,
    "%": _remainder,
}
_LOGIC: Final[Mapping[str, Callable[[tuple[Operand, ...]], Operand]]] = {
    "or": lambda operands: lambda answers: any(operand(answers) for operand in operands),
    "and": lambda operands: lambda answers: all(operand(answers) for operand in operands),
    "not": _not,
    "absent": _absent,
    "present": _present,
    "negative": _negative,
    "if": _either,
    "coalesce": _coalesce,
}
_COMPARISONS: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "==": same,
    "!=": lambda left, right: kind(left) is kind(right) and not same(left, right),
    "<": _ordered(operator.lt),
    "<=": _ordered(operator.le),
    ">": _ordered(operator.gt),
    ">=": _ordered(operator.ge),
    "in": within,
    "contains": lambda whole, item: within(item, whole),
}
