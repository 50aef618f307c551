"""What the languages of expressions have in common when they are read: how a text becomes a tree, and plain values."""

from functools import cached_property
from typing import Any

from lark import Lark, Token, Transformer, v_args
from lark.exceptions import LarkError, VisitError

from deployments.imports.logic import tree
from deployments.imports.logic.tree import Constant, Items, Negative, Node, Untranslatable


@v_args(inline=True)
class Reader(Transformer[Token, Node]):
    """Makes nodes of what a grammar finds; each language adds its own words."""

    def start(self, node: Node) -> Node:
        return node

    def negative(self, operand: Node) -> Node:
        match operand:
            case Constant(int() | float() as value) if not isinstance(value, bool):
                return Constant(-value)
        return Negative(operand)

    def number(self, number: Token) -> Node:
        return Constant(_number(number))

    def minus(self, number: Token) -> Node:
        return Constant(-_number(number))

    def items(self, *values: Any) -> Node:
        return Items(tuple(constant.value for constant in values if constant is not None))


class Language:
    """A grammar and what makes nodes of it."""

    def __init__(self, grammar: str, reader: Reader) -> None:
        self._grammar = grammar
        self._reader = reader

    def read(self, text: str) -> Node:
        """The tree of an expression, in the names and values of its form. Raises Untranslatable."""
        if len(text) > tree.MAX_LENGTH:
            raise Untranslatable("It is too long.")
        try:
            node: Node = self._reader.transform(self._parser.parse(text))
        except VisitError as error:
            raise Untranslatable(str(error.orig_exc)) from None
        except (LarkError, RecursionError):
            raise Untranslatable("It is not an expression that can be read.") from None
        tree.require_depth(node)
        return node

    @cached_property
    def _parser(self) -> Lark:
        return Lark(self._grammar, parser="lalr", maybe_placeholders=True)


def _number(text: str) -> int | float:
    return float(text) if "." in text else int(text)
