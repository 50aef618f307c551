"""The expressions of SurveyJS: `{name}`, operators in signs and words, and the functions that have a counterpart."""

import re
from typing import Any, Final

from lark import Token, v_args

from deployments.imports.logic.language import Language, Reader
from deployments.imports.logic.subjects import NUMBERS, TRUTHS, Subjects
from deployments.imports.logic.tree import (
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

COMMENT: Final = "-Comment"
"""What a name ends with that means the free text beside a question."""

_GRAMMAR: Final = r"""
    start: any
    ?any: all | any OR all -> operation
    ?all: comparison | all AND comparison -> operation
    ?comparison: tested | comparison COMPARE tested -> operation
    ?tested: sum | sum EMPTY -> empty | sum NOTEMPTY -> notempty
    ?sum: product | sum PLUS product -> operation
    ?product: signed | product TIMES signed -> operation
    ?signed: "-" signed -> negative | _NOT signed -> negation | atom
    ?atom: REFERENCE -> answer | TEXT -> text | NUMBER -> number | CONSTANT -> constant
        | NAME "(" [any ("," any)*] ")" -> call
        | "[" [item ("," item)*] "]" -> items
        | "(" any ")"
    ?item: TEXT -> text | "-" NUMBER -> minus | NUMBER -> number | CONSTANT -> constant
    OR.4: /\|\||or\b/i
    AND.4: /&&|and\b/i
    _NOT.3: /!(?!=)|negate\b/i
    EMPTY.3: /empty\b/i
    NOTEMPTY.3: /notempty\b/i
    COMPARE.3: /==|=|!=|<>|<=|>=|<|>|\*=|(equal|notequal|lessorequal|greaterorequal|less|greater)\b/i
        | /(contains?|notcontains?|anyof|allof|noneof)\b/i
    PLUS: "+" | "-"
    TIMES.3: /\*(?!=)|\/|%|mod\b/i
    REFERENCE: /\{[^{}]+\}/
    CONSTANT.2: /(true|false|null|undefined)\b/i
    NAME: /[A-Za-z][A-Za-z0-9_]*(?=\s*\()/
    NUMBER: /[0-9]+(\.[0-9]+)?|\.[0-9]+/
    TEXT: /'([^'\\]|\\.)*'|"([^"\\]|\\.)*"/s
    %ignore /\s+/
"""

_SIGNS: Final = {
    "||": "or",
    "&&": "and",
    "=": "==",
    "equal": "==",
    "<>": "!=",
    "notequal": "!=",
    "less": "<",
    "greater": ">",
    "lessorequal": "<=",
    "greaterorequal": ">=",
    "*=": "contains",
    "contain": "contains",
    "mod": "%",
    "notcontain": "notcontains",
}
_SAME: Final = ("min", "max", "sum", "avg", "round", "today", "abs", "floor", "ceil", "concat", "lower", "upper")
_OWN: Final = {
    **{name: name for name in (*_SAME, "year", "month", "day", "weekday")},
    "iif": "if",
    "currentDate": "today",
    "trunc": "floor",
}
_BACK: Final = {own: foreign for foreign, own in _OWN.items() if foreign not in ("currentDate", "trunc")}
_CONSTANTS: Final = {"true": True, "false": False, "null": None, "undefined": None}


@v_args(inline=True)
class _Reader(Reader):
    def operation(self, left: Node, sign: Token, right: Node) -> Node:
        word = sign.lower()
        return _operation(_SIGNS.get(word, word), left, right)

    def empty(self, operand: Node, _: Token) -> Node:
        return Call("empty", (operand,))

    def notempty(self, operand: Node, _: Token) -> Node:
        return Not(Call("empty", (operand,)))

    def negation(self, operand: Node) -> Node:
        return Not(operand)

    def answer(self, reference: Token) -> Node:
        name = reference[1:-1].strip().removeprefix("#")
        if name.endswith(COMMENT):
            return Answer(name.removesuffix(COMMENT), "other")
        if name.endswith(".length"):
            return Call("count", (Answer(name.removesuffix(".length")),))
        if "[" in name or name.startswith(("item", "choice", "parentPanel.", "prevPanel.", "nextPanel.", "prevRow.")):
            raise Untranslatable(f"{{{name}}} speaks of one of several panels, rows or options.")
        return Answer(name)

    def text(self, text: Token) -> Node:
        return Constant(re.sub(r"\\(.)", r"\1", text[1:-1], flags=re.DOTALL))

    def constant(self, name: Token) -> Node:
        return Constant(_CONSTANTS[name.lower()])

    def call(self, name: Token, *given: Any) -> Node:
        arguments = tuple(argument for argument in given if argument is not None)
        if name == "getDate" and len(arguments) == 1:
            node: Node = arguments[0]
            return node
        if name not in _OWN:
            raise Untranslatable(f"There is no counterpart of {name}().")
        return Call(_OWN[name], arguments)


def _operation(sign: str, left: Node, right: Node) -> Node:
    if sign == "notcontains":
        return Not(_operation("contains", left, right))
    if sign == "noneof":
        return Not(_operation("anyof", left, right))
    if sign in ("anyof", "allof") or (sign == "contains" and isinstance(right, Items)):
        values = right.values if isinstance(right, Items) else (right.value,) if isinstance(right, Constant) else ()
        if not values:
            raise Untranslatable(f"'{sign}' is followed by a list.")
        each: list[Node] = [Operation("contains", left, Constant(value)) for value in values]
        return chain("or" if sign == "anyof" else "and", each)
    return Operation(sign, left, right)


read = Language(_GRAMMAR, _Reader()).read
"""The tree of an expression. Raises Untranslatable."""


_BINDING: Final = {
    "or": 1,
    "and": 2,
    "+": 4,
    "-": 4,
    "*": 5,
    "/": 5,
    "%": 5,
    **dict.fromkeys(("==", "!=", "<", "<=", ">", ">=", "contains"), 3),
}


class Writer:
    """Prints trees of Formstream's expressions for SurveyJS; `subjects` are the fields by their ids."""

    def __init__(self, subjects: Subjects) -> None:
        self._subjects = subjects

    def write(self, node: Node) -> str:
        """The expression. Raises Untranslatable when SurveyJS cannot say it."""
        return self._print(node, 0)

    def _print(self, node: Node, binding: int) -> str:
        match node:
            case Answer():
                return self._truth(node) if binding == 0 else self._name(node)
            case Constant(value):
                return _literal(value)
            case Items(values):
                return f"[{', '.join(map(_literal, values))}]"
            case Not(operand):
                text = self._print(operand, 0)
                filled = isinstance(operand, Call) and operand.name == "empty"
                return f"{text.removesuffix(' empty')} notempty" if filled else f"!({text})"
            case Negative(operand):
                return f"-{self._print(operand, 9)}"
            case Call():
                return self._call(node)
            case Operation() as operation:
                return self._operation(operation, binding)
        raise Untranslatable("SurveyJS cannot say this.")

    def _operation(self, node: Operation, binding: int) -> str:
        sign, left, right = node.sign, node.left, node.right
        match node:
            case Operation("==" | "!=", Answer() as answer, Constant(None)):
                return f"{self._name(answer)} {'empty' if sign == '==' else 'notempty'}"
            case Operation("!=", Answer() as answer, Constant(value)):
                name = self._name(answer)
                return _bracketed(f"{name} notempty and {name} != {_literal(value)}", 2, binding)
            case Operation("in", Answer() as answer, Items(values)) if values:
                each: list[Node] = [Operation("==", answer, Constant(value)) for value in values]
                return self._print(chain("or", each), binding)
        if sign not in _BINDING:
            raise Untranslatable(f"SurveyJS cannot say '{sign}' here.")
        own = _BINDING[sign]
        lists = sign in ("and", "or")
        text = f"{self._side(left, own, lists)} {_BACK_SIGNS.get(sign, sign)} {self._side(right, own + 1, lists)}"
        return _bracketed(text, own, binding)

    def _side(self, node: Node, binding: int, condition: bool) -> str:
        return self._print(node, 0 if condition and isinstance(node, Answer) else binding)

    def _call(self, call: Call) -> str:
        match call:
            case Call("empty", (Answer() as answer,)):
                return f"{self._name(answer)} empty"
            case Call("count", (Answer(field, None) as counted,)) if self._kind(field) == "multi_choice":
                return f"{self._name(counted)[:-1]}.length}}"
            case Call(name, arguments) if name in _BACK:
                return f"{_BACK[name]}({', '.join(self._print(argument, 8) for argument in arguments)})"
        raise Untranslatable(f"SurveyJS has no counterpart of {call.name}().")

    def _truth(self, answer: Answer) -> str:
        """The answer as a condition: false and 0 are none."""
        name, kind = self._name(answer), "" if answer.part else self._kind(answer.field)
        return (
            f"{name} = true"
            if kind in TRUTHS
            else f"({name} notempty and {name} != 0)"
            if kind in NUMBERS
            else f"{name} notempty"
        )

    def _kind(self, field: str) -> str:
        subject = self._subjects.get(field)
        return "" if subject is None else subject.kind

    def _name(self, answer: Answer) -> str:
        if answer.field not in self._subjects:
            raise Untranslatable(f"There is no question '{answer.field}'.")
        name = f"panel.{answer.field}" if answer.own else answer.field
        if answer.part is None:
            return f"{{{name}}}"
        if answer.part == "other" and self._kind(answer.field) in ("choice", "dropdown", "multi_choice"):
            return f"{{{name}{COMMENT}}}"
        if self._kind(answer.field) == "matrix":
            return f"{{{name}.{answer.part}}}"
        raise Untranslatable(f"SurveyJS has no name for answers.{answer.field}.{answer.part}.")


_BACK_SIGNS: Final = {"==": "="}


def _bracketed(text: str, own: int, binding: int) -> str:
    return f"({text})" if own < binding < 8 else text


def _literal(value: Scalar) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case str():
            return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
    text = repr(value)
    if "e" in text or "n" in text:
        raise Untranslatable(f"The number {text} cannot be written.")
    return text
