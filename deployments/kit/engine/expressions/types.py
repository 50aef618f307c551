"""What every node of an expression is, found before any answer comes, and the nodes that make no sense.

The types: number, text, truth, date, time, datetime, map, `list of <type>`; null, which goes with everything, and any,
which is not known. Dates and times are texts, too.
"""

from collections.abc import Callable, Iterator, Mapping
from itertools import pairwise
from typing import Final

from deployments.kit.engine.expressions.evaluation import ARITHMETIC
from deployments.kit.engine.expressions.grammar import Node, Path

NUMBER, TEXT, TRUTH, DATE, TIME, DATETIME = "number", "text", "truth", "date", "time", "datetime"
MAP, NULL, ANY = "map", "null", "any"
LIST: Final = "list of "

TypeOf = Callable[[Path], str]
"""The type of what a path reads; `any` when it is not known."""

TEXTS: Final = frozenset((TEXT, DATE, TIME, DATETIME))
"""The types whose values are texts."""
_SCALARS: Final = frozenset((*TEXTS, NUMBER, TRUTH))


def list_of(item: str) -> str:
    """The type of a list of `item`."""
    return LIST + item


class TypeFault(ValueError):
    """A node that makes no sense; the message says why and at which character."""

    def __init__(self, detail: str, position: int) -> None:
        super().__init__(f"{detail} (character {position}).")


def type_faults(root: Node, type_of: TypeOf) -> Iterator[str]:
    """What makes no sense in the expression, as sentences; at most one, the innermost first."""
    try:
        infer(root, type_of)
    except TypeFault as fault:
        yield str(fault)


def infer(node: Node, type_of: TypeOf) -> str:
    """The type of the expression. Raises TypeFault."""
    op = node.op
    if op == "value":
        return _constant(node.args[0])
    if op in ("answer", "item"):
        return type_of(node.args[0])
    if op == "score":
        return _score(node, type_of)
    types = [infer(child, type_of) for child in node.args]
    if op in _FREE:
        return _FREE[op]
    if ARITHMETIC.issuperset(op) or op == "negative":
        return _all(node, types, frozenset((NUMBER,)), NUMBER, "calculates with numbers, not with a {}")
    if op in _RULES:
        return _RULES[op](node, types)
    wanted, result = _SIGNATURES[op]
    for found, accepted in zip(types, wanted * len(types), strict=False):
        _fits(node, found, accepted, "does not take a {}")
    return result


def _constant(value: object) -> str:
    if isinstance(value, list):
        kinds = {_constant(item) for item in value} - {NULL}
        return list_of(kinds.pop() if len(kinds) == 1 else ANY)
    return {str: TEXT, int: NUMBER, float: NUMBER, bool: TRUTH}.get(type(value), NULL)


def _score(node: Node, type_of: TypeOf) -> str:
    argument = node.args[0]
    if argument.op not in ("answer", "item") or argument.args[0].part is not None:
        raise TypeFault("'score' takes one field", node.position)
    infer(argument, type_of)
    return NUMBER


def _loose(found: str) -> bool:
    return found in (NULL, ANY)


def _fits(node: Node, found: str, wanted: frozenset[str], sentence: str) -> None:
    if not _loose(found) and found not in wanted:
        raise TypeFault(f"'{_NAMES.get(node.op, node.op)}' {sentence.format(found)}", node.position)


def _all(node: Node, types: list[str], wanted: frozenset[str], result: str, sentence: str) -> str:
    for found in types:
        _fits(node, found, wanted, sentence)
    return result


def _alike(left: str, right: str) -> bool:
    if _loose(left) or _loose(right) or left == right:
        return True
    if left.startswith(LIST) and right.startswith(LIST):
        return _alike(left.removeprefix(LIST), right.removeprefix(LIST))
    # A literal is a text, whatever it is compared with.
    return left in TEXTS and right in TEXTS and TEXT in (left, right)


def _comparison(node: Node, types: list[str]) -> str:
    left, right = types
    if not _alike(left, right):
        raise TypeFault(f"'{node.op}' compares a {left} with a {right}", node.position)
    if node.op not in ("==", "!="):
        _all(node, [left, right], frozenset((*TEXTS, NUMBER)), TRUTH, "orders numbers and texts, not a {}")
    return TRUTH


def _containment(node: Node, types: list[str]) -> str:
    item, whole = types if node.op == "in" else reversed(types)
    found = whole.startswith(LIST) and _alike(item, whole.removeprefix(LIST))
    if not (_loose(whole) or found or (whole in TEXTS and (item in TEXTS or _loose(item)))):
        raise TypeFault(f"'{node.op}' looks for a {item} in a {whole}", node.position)
    return TRUTH


def _common(node: Node, types: list[str]) -> str:
    known = [found for found in types if not _loose(found)]
    for left, right in pairwise(known):
        if not _alike(left, right):
            raise TypeFault(f"'{node.op}' gives a {left} or a {right}", node.position)
    if not known:
        return ANY if ANY in types else NULL
    return known[0] if len(set(known)) == 1 else TEXT if known[0] in TEXTS else known[0]


def _aggregate(node: Node, types: list[str]) -> str:
    items = [found.removeprefix(LIST) for found in types]
    if node.op in ("sum", "avg"):
        return _all(node, items, frozenset((NUMBER,)), NUMBER, "takes numbers, not a {}")
    _all(node, items, frozenset((*TEXTS, NUMBER)), NUMBER, "takes numbers or texts, not a {}")
    return _common(node, items)


def _join(node: Node, types: list[str]) -> str:
    _fits(node, types[0].removeprefix(LIST), _SCALARS, "joins texts, not a {}")
    _fits(node, types[1], TEXTS, "joins with a text, not with a {}")
    return TEXT


_NAMES: Final = {"negative": "-"}
_FREE: Final = {
    "or": TRUTH, "and": TRUTH, "not": TRUTH, "absent": TRUTH, "present": TRUTH, "empty": TRUTH,
    "count": NUMBER, "length": NUMBER, "today": DATE, "now": DATETIME,
}  # fmt: skip
"""What takes values of every type."""

_N: Final = frozenset((NUMBER,))
_D: Final = frozenset((DATE, DATETIME, TEXT))
_SIGNATURES: Final[Mapping[str, tuple[tuple[frozenset[str], ...], str]]] = {
    "abs": ((_N,), NUMBER),
    "floor": ((_N,), NUMBER),
    "ceil": ((_N,), NUMBER),
    "round": ((_N,), NUMBER),
    "number": ((TEXTS | _N,), NUMBER),
    "text": ((_SCALARS,), TEXT),
    "concat": ((_SCALARS,), TEXT),
    "lower": ((TEXTS,), TEXT),
    "upper": ((TEXTS,), TEXT),
    "trim": ((TEXTS,), TEXT),
    "left": ((TEXTS, _N), TEXT),
    "right": ((TEXTS, _N), TEXT),
    "starts_with": ((TEXTS,), TRUTH),
    "ends_with": ((TEXTS,), TRUTH),
    "year": ((_D,), NUMBER),
    "month": ((_D,), NUMBER),
    "day": ((_D,), NUMBER),
    "weekday": ((_D,), NUMBER),
    "days": ((_D,), NUMBER),
    "years": ((_D,), NUMBER),
    "add_days": ((_D, _N), DATE),
}
_RULES: Final[Mapping[str, Callable[[Node, list[str]], str]]] = {
    **dict.fromkeys(("==", "!=", "<", "<=", ">", ">="), _comparison),
    **dict.fromkeys(("in", "contains"), _containment),
    **dict.fromkeys(("sum", "avg", "min", "max"), _aggregate),
    "if": lambda node, types: _common(node, types[1:]),
    "coalesce": _common,
    "join": _join,
}
