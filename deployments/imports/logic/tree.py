"""The tree that every language of conditions is read into: answers, constants, operations and calls.

Operations have Formstream's signs, calls its names. A reader that meets what the tree cannot say raises
`Untranslatable` with the reason.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

MAX_LENGTH: Final = 20_000
"""The longest text that is read."""

MAX_DEPTH: Final = 200
"""How deep a tree may be, so that walking it needs a bounded stack."""

Scalar = str | int | float | bool | None


class Untranslatable(ValueError):
    """The text has no counterpart; the message is the reason."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer of a field, or a part of it. `own` is one of the same item of a repeating group."""

    field: str
    part: str | None = None
    own: bool = False


@dataclass(frozen=True, slots=True)
class Constant:
    value: Scalar


@dataclass(frozen=True, slots=True)
class Items:
    """A list of constants."""

    values: tuple[Scalar, ...]


@dataclass(frozen=True, slots=True)
class Not:
    operand: "Node"


@dataclass(frozen=True, slots=True)
class Negative:
    operand: "Node"


@dataclass(frozen=True, slots=True)
class Operation:
    """`sign` is one of `or and == != < <= > >= in contains + - * / %`."""

    sign: str
    left: "Node"
    right: "Node"


@dataclass(frozen=True, slots=True)
class Call:
    name: str
    arguments: tuple["Node", ...]


Node = Answer | Constant | Items | Not | Negative | Operation | Call

TRUE: Final = Constant(value=True)


def both(left: Node | None, right: Node | None) -> Node | None:
    """Both conditions; None is the one that always holds."""
    return left if right is None else right if left is None else Operation("and", left, right)


def chain(sign: str, nodes: list[Node]) -> Node:
    """The nodes in one row of `and`, `or`, `+`, ...; there must be one at least."""
    first, *others = nodes
    for node in others:
        first = Operation(sign, first, node)
    return first


def conjuncts(node: Node) -> Iterator[Node]:
    """The conditions that `node` joins with `and`."""
    if isinstance(node, Operation) and node.sign == "and":
        yield from conjuncts(node.left)
        yield from conjuncts(node.right)
    else:
        yield node


def children(node: Node) -> tuple[Node, ...]:
    match node:
        case Not(operand) | Negative(operand):
            return (operand,)
        case Operation(_, left, right):
            return (left, right)
        case Call(_, arguments):
            return arguments
    return ()


def require_depth(node: Node, depth: int = MAX_DEPTH) -> None:
    """Raises Untranslatable when the tree is deeper than MAX_DEPTH."""
    if depth == 0:
        raise Untranslatable(f"It is nested more than {MAX_DEPTH} deep.")
    for child in children(node):
        require_depth(child, depth - 1)


def rewritten(node: Node, change: Callable[[Node], Node]) -> Node:
    """The tree with `change` applied to every node, the inner ones first."""
    match node:
        case Not(operand):
            node = Not(rewritten(operand, change))
        case Negative(operand):
            node = Negative(rewritten(operand, change))
        case Operation(sign, left, right):
            node = Operation(sign, rewritten(left, change), rewritten(right, change))
        case Call(name, arguments):
            node = Call(name, tuple(rewritten(argument, change) for argument in arguments))
    return change(node)
