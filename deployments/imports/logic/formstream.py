"""Formstream's own expressions (`deployments/kit/engine/expressions`), read into the tree and printed from it."""

import re
from typing import Any, Final

from lark import Token, v_args

from deployments.imports.logic import tree
from deployments.imports.logic.language import Language, Reader
from deployments.imports.logic.tree import Answer, Call, Constant, Items, Negative, Node, Not, Operation, Untranslatable
from deployments.imports.target import says

_GRAMMAR: Final = r"""
    start: any
    ?any: all | any OR all -> operation
    ?all: inverse | all AND inverse -> operation
    ?inverse: _NOT inverse -> negation | comparison
    ?comparison: sum | sum COMPARE sum -> operation
    ?sum: product | sum PLUS product -> operation
    ?product: signed | product TIMES signed -> operation
    ?signed: "-" signed -> negative | atom
    ?atom: PATH -> answer | TEXT -> text | NUMBER -> number | CONSTANT -> constant
        | NAME "(" [any ("," any)*] ")" -> call
        | "[" [literal ("," literal)*] "]" -> items
        | "(" any ")"
    ?literal: TEXT -> text | "-" NUMBER -> minus | NUMBER -> number | CONSTANT -> constant
    OR.3: /or\b/
    AND.3: /and\b/
    _NOT.3: /not\b/
    COMPARE.2: /==|!=|<=|>=|<|>|(in|contains)\b/
    PLUS: "+" | "-"
    TIMES: "*" | "/" | "%"
    PATH.2: /(answers|item)\.[a-z][a-z0-9_]*(\.[A-Za-z0-9_][A-Za-z0-9_-]*)?/
    CONSTANT.2: /(true|false|null)\b/
    NAME: /[a-z][a-z0-9_]*(?=\s*\()/
    NUMBER: /[0-9]+(\.[0-9]+)?/
    TEXT: /'([^'\\]|\\.)*'|"([^"\\]|\\.)*"/s
    %ignore /\s+/
"""

_BINDING: Final = {
    "or": 1,
    "and": 2,
    **dict.fromkeys(("==", "!=", "<", "<=", ">", ">=", "in", "contains"), 4),
    "+": 5,
    "-": 5,
    "*": 6,
    "/": 6,
    "%": 6,
}
_CONSTANTS: Final = {"true": True, "false": False, "null": None}


@v_args(inline=True)
class _Reader(Reader):
    def operation(self, left: Node, sign: Token, right: Node) -> Node:
        return Operation(str(sign), left, right)

    def negation(self, operand: Node) -> Node:
        return Not(operand)

    def answer(self, path: Token) -> Node:
        place, field, *part = path.split(".")
        return Answer(field, part[0] if part else None, own=place == "item")

    def text(self, text: Token) -> Node:
        return Constant(re.sub(r"\\(.)", r"\1", text[1:-1], flags=re.DOTALL))

    def constant(self, name: Token) -> Node:
        return Constant(_CONSTANTS[name])

    def call(self, name: Token, *arguments: Any) -> Node:
        return Call(str(name), tuple(argument for argument in arguments if argument is not None))


read = Language(_GRAMMAR, _Reader()).read
"""The tree of an expression. Raises Untranslatable."""


def write(node: Node) -> str:
    """The expression that the tree says, in one line. Raises Untranslatable when the engine does not take it."""
    text = _print(node, 0)
    if not says(text):
        raise Untranslatable(f"Formstream's expressions cannot say this: {text}")
    return text


def _print(node: Node, binding: int) -> str:
    match node:
        case Answer(field, part, of_item):
            return f"{'item' if of_item else 'answers'}.{field}" + ("" if part is None else f".{part}")
        case Constant(value):
            return _literal(value)
        case Items(values):
            return f"[{', '.join(map(_literal, values))}]"
        case Call(name, arguments):
            return f"{name}({', '.join(_print(argument, 0) for argument in arguments)})"
        case Not(operand):
            inner = _print(operand, 3)
            text = f"not ({inner})" if isinstance(operand, Operation) and inner[0] != "(" else f"not {inner}"
            return f"({text})" if binding > 3 else text
        case Negative(operand):
            return f"-{_print(operand, 7)}"
        case Operation(sign, left, right):
            own = _BINDING[sign]
            # Comparisons do not chain, and the right side of a row is the one that needs brackets.
            text = f"{_print(left, own + (own == 4))} {sign} {_print(right, own + 1)}"
            return f"({text})" if own < binding else text


def _literal(value: tree.Scalar) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case str():
            return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
        case int():
            return str(value)
        case float():
            return _decimal(value)


def _decimal(value: float) -> str:
    text = repr(value)
    if "e" in text or "n" in text:
        text = f"{value:.15f}".rstrip("0") if abs(value) < 1e15 else "0"
        if float(text) != value:
            raise Untranslatable(f"The number {value} cannot be written.")
    return text
