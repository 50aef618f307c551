"""Conditions on the answers to a whole form that are written outside of its definition."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from deployments.kit.engine.compiler import Compiler
from deployments.kit.engine.expressions import CLOCK, parse_expression
from deployments.kit.engine.form import CompiledForm
from deployments.kit.engine.plan import plan

AnswerCondition = Callable[[Mapping[str, Any]], bool]


def compile_condition(form: CompiledForm, text: str) -> AnswerCondition:
    """The condition that an expression sets, over normalised answers to the form.

    A field that the form does not have counts as not answered. Raises ExpressionError when `text` is no expression.
    """
    expression = parse_expression(text)
    condition = Compiler(form.definition, plan(form.definition)).condition(expression)
    if not expression.timed:
        return condition
    return lambda answers: condition({**answers, CLOCK: datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")})
