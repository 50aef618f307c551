"""One expression, parsed."""

from collections.abc import Mapping
from typing import Any

from deployments.kit.engine.expressions.evaluation import Condition, Operand, View, compile_node
from deployments.kit.engine.expressions.functions import TEXT_MAKERS
from deployments.kit.engine.expressions.grammar import Node, Path, parse


class Expression:
    """A parsed expression.

    `paths` are the answers that it reads, in order, `timed` says whether it reads the clock, and `text_calls` how often
    it makes a text.
    """

    __slots__ = ("paths", "root", "text_calls", "timed")

    def __init__(self, root: Node) -> None:
        self.root = root
        nodes = tuple(root.walk())
        self.paths: tuple[Path, ...] = tuple(node.args[0] for node in nodes if node.op in ("answer", "item"))
        self.text_calls = sum(node.op in TEXT_MAKERS for node in nodes)
        self.timed = any(node.op in ("today", "now") for node in nodes)

    def compile(
        self, views: Mapping[str, View], scores: Mapping[str, View] | None = None, *, inside: bool = False
    ) -> Condition:
        """The condition over normalised answers; `views` says how it sees each field's answer.

        As a condition null, false, 0, the empty text and the empty list are false.
        """
        operand = self.operand(views, scores, inside=inside)
        return lambda answers: bool(operand(answers))

    def operand(
        self, views: Mapping[str, View], scores: Mapping[str, View] | None = None, *, inside: bool = False
    ) -> Operand:
        """The value over normalised answers, or over those of an item of a group (`inside`)."""
        return compile_node(self.root, views, scores or {}, inside=inside)

    def document(self) -> list[Any]:
        """The expression as JSON, for the browser."""
        return self.root.document()


def parse_expression(text: str) -> Expression:
    """The expression that `text` says. Raises ExpressionError, also when it is too long or nested too deep."""
    return Expression(parse(text))
