"""From the text of an expression to its tree."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any, Final, Literal

from lark import Lark, Token, Tree
from lark.exceptions import UnexpectedInput, UnexpectedToken

from deployments.kit.engine.expressions.functions import ARITIES

MAX_LENGTH: Final = 2_000
MAX_DEPTH: Final = 32

GRAMMAR: Final = rf"""
    start: any
    ?any: all (_OR all)*
    ?all: inverse (_AND inverse)*
    ?inverse: _NOT inverse -> negation
        | comparison
    ?comparison: sum (COMPARISON sum)?
    ?sum: product ((PLUS | MINUS) product)*
    ?product: signed (TIMES signed)*
    ?signed: MINUS signed -> negative
        | _operand
    _operand: PATH | _literal | call | list | "(" any ")"
    call: FUNCTION "(" any ("," any)* ")"
        | CLOCK "(" ")"
    list: "[" (item ("," item)*)? "]"
    ?item: _literal | MINUS NUMBER -> negative
    _literal: TEXT | NUMBER | CONSTANT

    _OR: /or\b/
    _AND: /and\b/
    _NOT: /not\b/
    COMPARISON: /==|!=|<=|>=|<|>|(in|contains)\b/
    PLUS: "+"
    MINUS: "-"
    TIMES: /[*\/%]/
    PATH: /(answers|item)\.[a-z][a-z0-9_]*(\.[A-Za-z0-9_][A-Za-z0-9_-]*)?/
    CLOCK: /(today|now)\b/
    FUNCTION: /({"|".join(name for name, (fewest, _) in ARITIES.items() if fewest)})\b/
    CONSTANT: /(true|false|null)\b/
    NUMBER: /[0-9]{{1,15}}(\.[0-9]{{1,15}})?(?![\w.])/
    TEXT: /'([^'\\]|\\.)*'|"([^"\\]|\\.)*"/s
    %ignore /\s+/
"""


class ExpressionError(ValueError):
    """The text is no expression; the message says what and at which character."""


@dataclass(frozen=True, slots=True)
class Path:
    """`answers.<field_id>` or `answers.<field_id>.<part>`, and the character where it stands (from 1).

    The root `item` reads the same item of a repeating group instead.
    """

    field_id: str
    part: str | None
    position: int
    root: Literal["answers", "item"] = "answers"


@dataclass(frozen=True, slots=True)
class Node:
    """One operation of the tree.

    `op` is `value` (its argument is the constant), `answer` or `item` (the argument is the Path), an operator, or the
    name of a function. `absent` and `present` are the comparisons with null. A run of arithmetic of one rank is one
    node, evaluated from the left: `+-` with the operands a, b, c is a + b - c.
    """

    op: str
    args: tuple[Any, ...]
    position: int

    def children(self) -> "tuple[Node, ...]":
        """The operands that are trees themselves."""
        return () if self.op in ("value", "answer", "item") else self.args

    def walk(self) -> "Iterator[Node]":
        """This node and all below it."""
        yield self
        for child in self.children():
            yield from child.walk()

    def document(self) -> list[Any]:
        """The tree as JSON: `[op, argument, …]`."""
        if self.op == "value":
            return ["value", self.args[0]]
        if self.op in ("answer", "item"):
            path: Path = self.args[0]
            return [self.op, path.field_id] if path.part is None else [self.op, path.field_id, path.part]
        return [self.op, *(child.document() for child in self.args)]


def parse(text: str) -> Node:
    """The tree of `text`. Raises ExpressionError, also when it is too long or nested too deep."""
    if len(text) > MAX_LENGTH:
        raise ExpressionError(f"An expression has at most {MAX_LENGTH} characters.")
    try:
        tree = _parser().parse(text)
    except UnexpectedInput as error:
        at_end = isinstance(error, UnexpectedToken) and error.token.type == "$END"
        position = len(text) if at_end else error.pos_in_stream or 0
        raise ExpressionError(f"Syntax error at character {position + 1}.") from None
    return _node(tree.children[0], MAX_DEPTH)


@cache
def _parser() -> Lark:
    return Lark(GRAMMAR, parser="lalr", maybe_placeholders=False, propagate_positions=True)


def _node(tree: Tree[Token] | Token, depth: int) -> Node:
    if isinstance(tree, Token):
        return _leaf(tree)
    if depth == 0:
        raise ExpressionError(f"An expression is nested at most {MAX_DEPTH} deep.")
    position = tree.meta.start_pos + 1
    match tree.data:
        case "list":
            return Node("value", ([_constant(item) for item in tree.children],), position)
        case "call":
            return _call(tree, depth, position)
        case "comparison":
            return _comparison(tree, depth)
        case "sum" | "product":
            return _chain(tree, depth)
        case "negative":
            operand = _node(tree.children[1], depth - 1)
            if operand.op == "value" and type(operand.args[0]) in (int, float):
                return Node("value", (-operand.args[0],), position)
            return Node("negative", (operand,), position)
        case "negation":
            return Node("not", (_node(tree.children[0], depth - 1),), position)
    operands = tuple(_node(child, depth - 1) for child in tree.children)
    return Node("and" if tree.data == "all" else "or", operands, position)


def _leaf(token: Token) -> Node:
    position = (token.start_pos or 0) + 1
    if token.type != "PATH":
        return Node("value", (_constant(token),), position)
    root, field_id, *part = token.split(".")
    path = Path(field_id, part[0] if part else None, position, "item" if root == "item" else "answers")
    return Node("item" if root == "item" else "answer", (path,), position)


def _constant(item: Tree[Token] | Token) -> Any:
    if isinstance(item, Tree):
        return -_constant(item.children[1])
    if item.type == "TEXT":
        return re.sub(r"\\(.)", r"\1", item[1:-1], flags=re.DOTALL)
    if item.type == "NUMBER":
        return float(item) if "." in item else int(item)
    return {"true": True, "false": False, "null": None}[item]


def _call(tree: Tree[Token], depth: int, position: int) -> Node:
    name, *arguments = tree.children
    fewest, most = ARITIES[str(name)]
    if not fewest <= len(arguments) <= most:
        wanted = str(fewest) if fewest == most else f"{fewest} to {most}"
        raise ExpressionError(f"The function '{name}' takes {wanted} values (character {position}).")
    return Node(str(name), tuple(_node(argument, depth - 1) for argument in arguments), position)


def _comparison(tree: Tree[Token], depth: int) -> Node:
    first, sign, second = tree.children
    position = (sign.start_pos or 0) + 1 if isinstance(sign, Token) else 1
    left, right = _node(first, depth - 1), _node(second, depth - 1)
    if sign in ("==", "!="):
        for side, other in ((left, right), (right, left)):
            if side.op == "value" and side.args[0] is None:
                return Node("absent" if sign == "==" else "present", (other,), position)
    return Node(str(sign), (left, right), position)


def _chain(tree: Tree[Token], depth: int) -> Node:
    # One node for the whole run: a long sum is not deep.
    signs = [sign for sign in tree.children[1::2] if isinstance(sign, Token)]
    operands = tuple(_node(child, depth - 1) for child in tree.children[::2])
    return Node("".join(signs), operands, (signs[0].start_pos or 0) + 1)
