"""The text form of a filter, which also knows `or`, `not` and parentheses.

    score >= 9 and (side any ["corn", "yams"] or name starts_with "A") and not exists email

* A comparison is a field, an operator and a value: a text in single or double quotes, a number, `true`, `false`, or a
  list of these in square brackets. The operators are those of `filter[field][operator]`; `= != < <= > >=` are other
  names of `eq ne lt lte gt gte`.
* `exists field` and `empty field` ask whether there is an answer.
* `not` binds tighter than `and`, and that tighter than `or`.
"""

from functools import cache
from typing import Any, Final

from lark import Lark, Token, Tree
from lark.exceptions import UnexpectedInput, UnexpectedToken

from db.repositories.response_filters import Condition, Either, Every, Unless
from deployments.kit.errors import Fault
from deployments.kit.filtering.fields import Fields
from deployments.kit.filtering.filters import MAX_FILTERS, condition_of

MAX_LENGTH: Final = 4_000
MAX_DEPTH: Final = 16
_AT: Final = "/where"

GRAMMAR: Final = r"""
    start: any
    ?any: all (_OR all)*
    ?all: one (_AND one)*
    ?one: _NOT one -> negation
        | PRESENCE NAME -> presence
        | NAME OPERATOR value -> comparison
        | "(" any ")"
    ?value: TEXT | NUMBER | BOOLEAN | list
    list: "[" ((TEXT | NUMBER | BOOLEAN) ("," (TEXT | NUMBER | BOOLEAN))*)? "]"

    _OR.2: /or\b/
    _AND.2: /and\b/
    _NOT.2: /not\b/
    PRESENCE.2: /(exists|empty)(?=\s)/
    OPERATOR.2: /!=|<=|>=|=|<|>|(eq|ne|lte|lt|gte|gt|in|nin|between|contains|starts_with|any|all)\b/
    BOOLEAN.2: /(true|false)\b/
    NAME: /[a-z][a-z0-9_]*(\.[A-Za-z0-9_][A-Za-z0-9_-]*){0,3}/
    NUMBER: /-?[0-9]{1,15}(\.[0-9]{1,15})?(?![\w.])/
    TEXT: /'([^'\\]|\\.)*'|"([^"\\]|\\.)*"/s
    %ignore /\s+/
"""

_SIGNS: Final = {"=": "eq", "!=": "ne", "<": "lt", "<=": "lte", ">": "gt", ">=": "gte"}


def condition_of_text(fields: Fields, text: str) -> tuple[Condition, list[Fault]]:
    """The condition that a text says, and what is wrong with it."""
    if len(text) > MAX_LENGTH:
        return Every(), [Fault(_AT, "where.length", f"A condition has at most {MAX_LENGTH} characters.")]
    try:
        tree = _parser().parse(text)
    except UnexpectedInput as error:
        at_end = isinstance(error, UnexpectedToken) and error.token.type == "$END"
        position = len(text) if at_end else error.pos_in_stream or 0
        return Every(), [Fault(_AT, "where.syntax", f"Syntax error at character {position + 1}.")]
    reading = _Reading(fields)
    condition = reading.read(tree.children[0], MAX_DEPTH)
    if reading.tests > MAX_FILTERS:
        return Every(), [Fault(_AT, "filter.too_many", f"A query has at most {MAX_FILTERS} filters.")]
    return condition, reading.faults


class _Reading:
    def __init__(self, fields: Fields) -> None:
        self._fields = fields
        self.faults: list[Fault] = []
        self.tests = 0

    def read(self, node: Any, depth: int) -> Condition:
        if depth == 0:
            self.faults.append(Fault(_AT, "where.depth", f"A condition is nested at most {MAX_DEPTH} deep."))
            return Every()
        match node.data:
            case "negation":
                return Unless(self.read(node.children[0], depth - 1))
            case "any":
                return Either(tuple(self.read(child, depth - 1) for child in node.children))
            case "all":
                return Every(tuple(self.read(child, depth - 1) for child in node.children))
        return self._test(node)

    def _test(self, node: Tree[Token]) -> Condition:
        self.tests += 1
        if node.data == "presence":
            operator, name = str(node.children[0]), str(node.children[1])
            raw: Any = True
        else:
            name, sign = str(node.children[0]), str(node.children[1])
            operator, raw = _SIGNS.get(sign, sign), _literal(node.children[2])
        found = condition_of(self._fields, name, operator, raw, _AT)
        if isinstance(found, Fault):
            self.faults.append(Fault(_AT, found.code, f"{name} {operator}: {found.detail}"))
            return Every()
        return found


@cache
def _parser() -> Lark:
    return Lark(GRAMMAR, parser="lalr", maybe_placeholders=False)


def _literal(node: Any) -> Any:
    if isinstance(node, Tree):
        return [_literal(child) for child in node.children]
    if node.type == "TEXT":
        return _unescaped(node[1:-1])
    if node.type == "BOOLEAN":
        return node == "true"
    return float(node)


def _unescaped(text: str) -> str:
    pieces = iter(text)
    return "".join(next(pieces) if piece == "\\" else piece for piece in pieces)
