"""The XPath of XLSForm, as ODK's tools take it: `${name}`, operators, and the functions that have a counterpart."""

from collections.abc import Callable
from typing import Any, Final

from lark import Token, v_args

from deployments.imports.logic.language import Language, Reader
from deployments.imports.logic.subjects import NUMBERS, TRUTHS, Subjects
from deployments.imports.logic.tree import (
    TRUE,
    Answer,
    Call,
    Constant,
    Items,
    Negative,
    Node,
    Not,
    Operation,
    Scalar,
    Untranslatable,
    chain,
)

SELF: Final = "."
"""The name under which the tree knows the field that a constraint belongs to."""

_GRAMMAR: Final = r"""
    start: any
    ?any: all | any OR all -> operation
    ?all: equality | all AND equality -> operation
    ?equality: relation | equality EQUAL relation -> operation
    ?relation: sum | relation ORDER sum -> operation
    ?sum: product | sum PLUS product -> operation
    ?product: signed | product TIMES signed -> operation
    ?signed: "-" signed -> negative | atom
    ?atom: REFERENCE -> answer | SELF -> self | TEXT -> text | NUMBER -> number
        | NAME "(" [any ("," any)*] ")" -> call
        | "(" any ")"
    OR.3: /or\b(?!\s*\(\s*\))/
    AND.3: /and\b(?!\s*\(\s*\))/
    EQUAL: "=" | "!="
    ORDER: "<=" | ">=" | "<" | ">"
    PLUS: "+" | "-"
    TIMES.3: /\*|(div|mod)\b/
    REFERENCE: /\$\{\s*(last-saved#)?[A-Za-z_][\w.-]*\s*\}/
    SELF: /\.(?![0-9.\/])/
    NAME: /[a-z][A-Za-z0-9_:.-]*(?=\s*\()/
    NUMBER: /[0-9]+(\.[0-9]*)?|\.[0-9]+/
    TEXT: /'[^']*'|"[^"]*"|‘[^’]*’|“[^”]*”/
    %ignore /\s+/
"""

_SIGNS: Final = {"=": "==", "div": "/", "mod": "%"}
_SAME: Final = ("coalesce", "min", "max", "sum", "round", "abs", "concat", "today", "now", "if", "number")
_RENAMED: Final = {
    "string-length": "length",
    "count-selected": "count",
    "ceiling": "ceil",
    "string": "text",
    "lower-case": "lower",
    "upper-case": "upper",
    "starts-with": "starts_with",
    "ends-with": "ends_with",
}
_OWN: Final = {**{name: name for name in _SAME}, **_RENAMED, "floor": "floor", "int": "floor"}
_BACK: Final = {own: foreign for foreign, own in _OWN.items() if foreign != "int"}
_TRANSPARENT: Final = ("date", "boolean", "once")


@v_args(inline=True)
class _Reader(Reader):
    def operation(self, left: Node, sign: Token, right: Node) -> Node:
        return Operation(_SIGNS.get(sign, str(sign)), left, right)

    def answer(self, reference: Token) -> Node:
        name = reference[2:-1].strip()
        if "#" in name:
            raise Untranslatable("Values of the form filled in before are not available.")
        return Answer(name)

    def self(self, _: Token) -> Node:
        return Answer(SELF)

    def text(self, text: Token) -> Node:
        return Constant(text[1:-1])

    def call(self, name: Token, *given: Any) -> Node:
        arguments = tuple(argument for argument in given if argument is not None)
        return _call(str(name), arguments)


def _call(name: str, arguments: tuple[Node, ...]) -> Node:
    match name, arguments:
        case ("true" | "false", ()):
            return Constant(name == "true")
        case ("not", (operand,)):
            return Not(operand)
        case ("selected" | "contains", (whole, item)):
            return Operation("contains", whole, item)
        case ("regex", (_, Constant(str()))):
            return Call("regex", arguments)
        case _ if name in _OWN:
            return Call(_OWN[name], arguments)
        case _ if name in _TRANSPARENT and len(arguments) == 1:
            return arguments[0]
    raise Untranslatable(f"There is no counterpart of {name}().")


read = Language(_GRAMMAR, _Reader()).read
"""The tree of an expression. Raises Untranslatable."""


Naming = Callable[[str, str | None], str]
"""The name of a field, or of its part, in the form that is written. Raises Untranslatable when it has none."""

_BINDING: Final = {
    "or": 1,
    "and": 2,
    "==": 3,
    "!=": 3,
    **dict.fromkeys(("<", "<=", ">", ">="), 4),
    "+": 5,
    "-": 5,
    "*": 6,
    "/": 6,
    "%": 6,
}


class Writer:
    """Prints trees of Formstream's expressions as XPath; `subjects` are the fields by their ids."""

    def __init__(self, subjects: Subjects, naming: Naming) -> None:
        self._subjects = subjects
        self._naming = naming

    def write(self, node: Node) -> str:
        """The expression. Raises Untranslatable when XPath cannot say it."""
        return self._print(node, 0)

    def _print(self, node: Node, binding: int) -> str:
        match node:
            case Answer(field, part):
                name = f"${{{self._naming(field, part)}}}"
                return self._truth(name, "" if part else self._kind(field)) if binding == 0 else name
            case Constant(value):
                return self._literal(value)
            case Not(operand):
                return f"not({self._print(operand, 0)})"
            case Negative(operand):
                return f"-{self._print(operand, 7)}"
            case Call("empty", (Answer() as answer,)):
                return self._bracketed(f"{self._print(answer, 9)} = ''", 3, binding)
            case Call(name, arguments) if name in _BACK:
                return f"{_BACK[name]}({', '.join(self._print(argument, 9) for argument in arguments)})"
            case Operation() as operation:
                return self._operation(operation, binding)
        raise Untranslatable(f"XPath cannot say {type(node).__name__.lower()} here.")

    def _operation(self, node: Operation, binding: int) -> str:
        sign, left, right = node.sign, node.left, node.right
        match node:
            case Operation("contains", Answer(field) as answer, Constant()):
                function = "selected" if self._kind(field) == "multi_choice" else "contains"
                return f"{function}({self._print(answer, 9)}, {self._value(answer, right)})"
            case Operation("in", Answer() as answer, Items(values)) if values:
                return self._print(chain("or", [Operation("==", answer, Constant(value)) for value in values]), binding)
            case Operation("==" | "!=", Answer() as answer, Constant(None)):
                return self._bracketed(f"{self._print(answer, 9)} {'=' if sign == '==' else '!='} ''", 3, binding)
            case Operation("!=", Answer() as answer, Constant()):
                name = self._print(answer, 9)
                text = f"{name} != '' and {name} != {self._value(answer, right)}"
                return self._bracketed(text, 2, binding)
            case Operation("==" | "<" | "<=" | ">" | ">=", Answer() as answer, Constant()):
                mark = "=" if sign == "==" else sign
                text = f"{self._print(answer, 9)} {mark} {self._value(answer, right)}"
                return self._bracketed(text, _BINDING[sign], binding)
        if sign not in _BINDING:
            raise Untranslatable(f"XPath cannot say '{sign}' here.")
        own = _BINDING[sign]
        inner = 0 if sign in ("and", "or") else None
        mark = {"==": "=", "/": "div", "%": "mod"}.get(sign, sign)
        text = f"{self._side(left, own, inner)} {mark} {self._side(right, own + 1, inner)}"
        return self._bracketed(text, own, binding)

    def _side(self, node: Node, binding: int, inner: int | None) -> str:
        if inner == 0 and isinstance(node, Answer):
            return self._print(node, 0)
        return self._print(node, binding)

    def _bracketed(self, text: str, own: int, binding: int) -> str:
        return f"({text})" if own < binding and binding < 9 else text

    def _truth(self, name: str, kind: str) -> str:
        """The answer as a condition: false and 0 are none."""
        if kind in TRUTHS:
            return f"{name} = {self._value(Answer(name[2:-1]), TRUE)}"
        return f"({name} != '' and {name} != 0)" if kind in NUMBERS else f"{name} != ''"

    def _kind(self, field: str) -> str:
        subject = self._subjects.get(field)
        return "" if subject is None else subject.kind

    def _value(self, answer: Answer, constant: Node) -> str:
        subject = self._subjects.get(answer.field)
        if not isinstance(constant, Constant):
            raise Untranslatable("XPath cannot say this comparison.")
        if subject is not None and answer.part is None:
            for foreign, own in subject.values.items():
                if own == constant.value and type(own) is type(constant.value):
                    return self._literal(foreign)
        return self._literal(constant.value)

    def _literal(self, value: Scalar) -> str:
        match value:
            case None:
                return "''"
            case bool():
                return "true()" if value else "false()"
            case str() if "'" not in value:
                return f"'{value}'"
            case str() if '"' not in value:
                return f'"{value}"'
            case str():
                raise Untranslatable("XPath has no text with both kinds of quotes.")
            case int():
                return str(value)
            case float():
                text = repr(value)
                if "e" in text or "n" in text:
                    raise Untranslatable(f"XPath cannot say the number {text}.")
                return text
