"""The language of `visible_if` and `required_if`: a condition over the other answers, without `eval`.

    answers.email != null and (answers.age >= 18 or answers.country in ['de', 'at'])
    answers.sides contains 'corn' and not empty(answers.sides.other)

* `answers.<id>` is the normalised answer of a field, null when it is absent or hidden. A choice is its option id, or
  the free text when only that was given; a multi-choice is the list of them. `answers.<id>.<part>` is a part of
  an answer: `other` of a choice, the rank of a ranking's option, the column of a matrix row.
* Literals: texts in single or double quotes (a backslash takes the next character as it is), numbers, `true`,
  `false`, `null`, and lists of these in square brackets.
* `==  !=  <  <=  >  >=` compare two values of one type; a comparison of different types is false, `!=` too. Only
  `== null` and `!= null` ask whether there is an answer. Order exists for numbers and texts (by code point, so ISO
  dates compare by time).
* `x in y`, `y contains x`: an item of a list, or a part of a text.
* `empty(x)`: no answer. `count(x)`: the number of items, 0 or 1 for a single value. `length(x)`: the characters of a
  text, else 0.
* `not` binds tighter than `and`, and that tighter than `or`; comparisons do not chain. As a condition, null, false,
  0, the empty text and the empty list are false.

Evaluation never raises and has no effect.
"""

import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from lark import Lark, Token, Tree
from lark.exceptions import UnexpectedInput, UnexpectedToken

MAX_LENGTH: Final = 2_000
MAX_DEPTH: Final = 32

GRAMMAR: Final = r"""
    start: any
    ?any: all (_OR all)*
    ?all: inverse (_AND inverse)*
    ?inverse: _NOT inverse -> negation
        | comparison
    ?comparison: _operand (OPERATOR _operand)?
    _operand: PATH | _literal | call | list | "(" any ")"
    call: FUNCTION "(" _operand ")"
    list: "[" (_literal ("," _literal)*)? "]"
    _literal: TEXT | NUMBER | CONSTANT

    _OR: /or\b/
    _AND: /and\b/
    _NOT: /not\b/
    OPERATOR: /==|!=|<=|>=|<|>|(in|contains)\b/
    PATH: /answers\.[a-z][a-z0-9_]*(\.[A-Za-z0-9_][A-Za-z0-9_-]*)?/
    FUNCTION: /(empty|count|length)\b/
    CONSTANT: /(true|false|null)\b/
    NUMBER: /-?[0-9]{1,15}(\.[0-9]{1,15})?(?![\w.])/
    TEXT: /'([^'\\]|\\.)*'|"([^"\\]|\\.)*"/s
    %ignore /\s+/
"""

Answers = Mapping[str, Any]
Operand = Callable[[Answers], Any]
Condition = Callable[[Answers], bool]
View = Callable[[Any], Any]
"""How an expression sees the normalised answer of one field."""


class ExpressionError(ValueError):
    """The text is no expression; the message says what and at which character."""


@dataclass(frozen=True, slots=True)
class Path:
    """`answers.<field_id>` or `answers.<field_id>.<part>`, and the character where it stands (from 1)."""

    field_id: str
    part: str | None
    position: int


class Expression:
    """A parsed expression; `paths` are the answers that it reads, in order."""

    __slots__ = ("_root", "paths")

    def __init__(self, root: Tree[Token] | Token, paths: tuple[Path, ...]) -> None:
        self._root = root
        self.paths = paths

    def compile(self, views: Mapping[str, View]) -> Condition:
        """The condition over normalised answers; `views` says how it sees each field's answer."""
        operand = _compile(self._root, views, MAX_DEPTH)
        return lambda answers: bool(operand(answers))


def parse_expression(text: str) -> Expression:
    """The expression that `text` says. Raises ExpressionError, also when it is too long or nested too deep."""
    if len(text) > MAX_LENGTH:
        raise ExpressionError(f"An expression has at most {MAX_LENGTH} characters.")
    try:
        tree = _parser().parse(text)
    except UnexpectedInput as error:
        at_end = isinstance(error, UnexpectedToken) and error.token.type == "$END"
        position = len(text) if at_end else error.pos_in_stream or 0
        raise ExpressionError(f"Syntax error at character {position + 1}.") from None
    root = tree.children[0]
    _compile(root, {}, MAX_DEPTH)  # Proves the depth before anything else walks the tree.
    paths = tree.scan_values(lambda child: isinstance(child, Token) and child.type == "PATH")
    return Expression(root, tuple(_path(token) for token in paths))


@cache
def _parser() -> Lark:
    return Lark(GRAMMAR, parser="lalr", maybe_placeholders=False)


def _path(token: Token) -> Path:
    _, field_id, *part = token.split(".")
    return Path(field_id, part[0] if part else None, (token.start_pos or 0) + 1)


def _compile(node: Tree[Token] | Token, views: Mapping[str, View], depth: int) -> Operand:
    if isinstance(node, Token):
        return _read(_path(node), views) if node.type == "PATH" else _constant(_literal(node))
    if depth == 0:
        raise ExpressionError(f"An expression is nested at most {MAX_DEPTH} deep.")
    if node.data == "list":
        return _constant([_literal(item) for item in node.children if isinstance(item, Token)])
    if node.data == "comparison":
        return _comparison(node, views, depth)
    if node.data == "call":
        function = _FUNCTIONS[str(node.children[0])]
        argument = _compile(node.children[1], views, depth - 1)
        return lambda answers: function(argument(answers))
    operands = tuple(_compile(child, views, depth - 1) for child in node.children)
    if node.data == "negation":
        inverted = operands[0]
        return lambda answers: not inverted(answers)
    if node.data == "all":
        return lambda answers: all(operand(answers) for operand in operands)
    return lambda answers: any(operand(answers) for operand in operands)


def _comparison(node: Tree[Token], views: Mapping[str, View], depth: int) -> Operand:
    left_node, sign, right_node = node.children
    left, right = _compile(left_node, views, depth - 1), _compile(right_node, views, depth - 1)
    if sign in _EQUALITY and (_is_null(left_node) or _is_null(right_node)):
        absent = sign == "=="
        return lambda answers: (left(answers) is None and right(answers) is None) is absent
    compare = _OPERATORS[str(sign)]
    return lambda answers: compare(left(answers), right(answers))


def _is_null(node: Tree[Token] | Token) -> bool:
    return isinstance(node, Token) and node.type == "CONSTANT" and node == "null"


def _read(path: Path, views: Mapping[str, View]) -> Operand:
    field_id, part, view = path.field_id, path.part, views.get(path.field_id)

    def read_part(answers: Answers) -> Any:
        value = answers.get(field_id)
        return value.get(part) if type(value) is dict else None

    def read_view(answers: Answers) -> Any:
        value = answers.get(field_id)
        return value if value is None or view is None else view(value)

    return read_view if part is None else read_part


def _constant(value: Any) -> Operand:
    return lambda _answers: value


def _literal(token: Token) -> Any:
    if token.type == "TEXT":
        return re.sub(r"\\(.)", r"\1", token[1:-1], flags=re.DOTALL)
    if token.type == "NUMBER":
        return float(token) if "." in token else int(token)
    return {"true": True, "false": False, "null": None}[token]


_KINDS: Final = {
    str: "text",
    int: "number",
    float: "number",
    bool: "truth",
    list: "list",
    dict: "map",
    type(None): "null",
}


def _same(compare: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    return lambda left, right: _KINDS[type(left)] is _KINDS[type(right)] and compare(left, right)


def _ordered(compare: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    def check(left: Any, right: Any) -> bool:
        kind = _KINDS[type(left)]
        return kind in ("text", "number") and kind is _KINDS[type(right)] and compare(left, right)

    return check


_equal: Final = _same(operator.eq)


def _within(item: Any, whole: Any) -> bool:
    if type(whole) is list:
        return any(_equal(item, other) for other in whole)
    return type(whole) is str and type(item) is str and item in whole


def _empty(value: Any) -> bool:
    return value is None or value == "" or value == [] or value == {}


def _count(value: Any) -> int:
    return len(value) if type(value) in (list, dict) else int(not _empty(value))


def _length(value: Any) -> int:
    return len(value) if type(value) is str else 0


_EQUALITY: Final = ("==", "!=")
_OPERATORS: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "==": _equal,
    "!=": _same(operator.ne),
    "<": _ordered(operator.lt),
    "<=": _ordered(operator.le),
    ">": _ordered(operator.gt),
    ">=": _ordered(operator.ge),
    "in": _within,
    "contains": lambda whole, item: _within(item, whole),
}
_FUNCTIONS: Final[Mapping[str, Callable[[Any], Any]]] = {"empty": _empty, "count": _count, "length": _length}
