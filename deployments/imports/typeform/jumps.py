"""Typeform's logic jumps as conditions of visibility: a question is shown unless a question before it jumps past it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from deployments.imports.logic.subjects import Subjects, adopt
from deployments.imports.logic.tree import (
    Answer,
    Call,
    Constant,
    Node,
    Not,
    Operation,
    Untranslatable,
    both,
    chain,
    children,
)

_SIGNS: Final = {
    "is": "==",
    "equal": "==",
    "is_not": "!=",
    "not_equal": "!=",
    "on": "==",
    "not_on": "!=",
    "greater_than": ">",
    "lower_than": "<",
    "greater_equal_than": ">=",
    "lower_equal_than": "<=",
    "earlier_than": "<",
    "before_on": "<=",
    "later_than": ">",
    "after_on": ">=",
    "contains": "contains",
}
_DEEPEST: Final = 20
_LARGEST: Final = 120
"""The most nodes of a condition; longer ones are no expressions that anybody could read."""

HIDDEN: Final = "hidden:"
"""What the name of a hidden field begins with, since a question may have the same."""


@dataclass(frozen=True, slots=True)
class Jump:
    """From after the question at `source` to the one at `target`, when `condition` holds (None: always)."""

    source: int
    target: int
    condition: Node | None


def condition_of(raw: Any, subjects: Subjects, depth: int = 0) -> Node | None:
    """The condition of an action; None when it always holds. Raises Untranslatable."""
    if not isinstance(raw, Mapping) or depth > _DEEPEST:
        raise Untranslatable("It is not a condition that can be read.")
    op, given = raw.get("op"), raw.get("vars")
    given = given if isinstance(given, list) else []
    if op == "always":
        return None
    if op in ("and", "or"):
        inner = [condition_of(item, subjects, depth + 1) for item in given]
        if not inner or None in inner:
            raise Untranslatable("It is not a condition that can be read.")
        return chain(op, [node for node in inner if node is not None])
    if len(given) != 2:
        raise Untranslatable(f"There is no counterpart of '{op}'.")
    left, right = map(_value, given)
    return adopt(_compared(str(op), left, right, subjects), subjects)


def _compared(op: str, left: Node, right: Node, subjects: Subjects) -> Node:
    if op in ("begins_with", "ends_with"):
        return Call("starts_with" if op == "begins_with" else op, (left, right))
    negative = op in ("not_contains", "is_not", "not_equal", "not_on")
    sign = "contains" if op == "not_contains" else "==" if negative else _SIGNS.get(op)
    if sign is None:
        raise Untranslatable(f"There is no counterpart of '{op}'.")
    subject = subjects.get(left.field) if isinstance(left, Answer) else None
    if sign == "==" and subject is not None and subject.several:
        sign = "contains"
    node = Operation(sign, left, right)
    return Not(node) if negative else node


def _value(raw: Any) -> Node:
    kind = raw.get("type") if isinstance(raw, Mapping) else None
    value = raw.get("value") if isinstance(raw, Mapping) else None
    match kind:
        case "field" if isinstance(value, str):
            return Answer(value)
        case "hidden" if isinstance(value, str):
            return Answer(HIDDEN + value)
        case "choice" | "constant" if value is None or isinstance(value, str | int | float):
            return Constant(value)
    raise Untranslatable(f"'{kind}' has no counterpart.")


def visibility(count: int, jumps: list[Jump]) -> list[Node | Untranslatable | None]:
    """For each of `count` questions the condition under which a path of jumps comes to it; None for always.

    The jumps of one question are in their order: the first that holds is taken. All lead forward.
    """
    reached: list[Node | Untranslatable | None] = []
    for place in range(count):
        found: Node | Untranslatable | None = None
        before: dict[int, list[Node | None]] = {}
        for jump in jumps:
            earlier = before.setdefault(jump.source, [])
            if jump.source < place < jump.target and not isinstance(found, Untranslatable):
                found = _unless(found, reached[jump.source], jump.condition, earlier)
            earlier.append(jump.condition)
        reached.append(found)
    return reached


def _unless(
    shown: Node | None, start: Node | Untranslatable | None, condition: Node | None, earlier: list[Node | None]
) -> Node | Untranslatable | None:
    """`shown`, and not the jump: its start is reached, its condition holds, and none of those before it."""
    if isinstance(start, Untranslatable):
        return start
    if None in earlier:
        return shown
    taken = both(start, condition)
    for node in earlier:
        taken = both(taken, None if node is None else _not(node))
    node = both(shown, Constant(value=False) if taken is None else _not(taken))
    if node is not None and _size(node) > _LARGEST:
        return Untranslatable("The jumps make a condition that is too long.")
    return node


def _not(node: Node) -> Node:
    return node.operand if isinstance(node, Not) else Not(node)


def _size(node: Node) -> int:
    return 1 + sum(map(_size, children(node)))
