"""The language of conditions and calculations: a value made of the other answers, without `eval`.

    answers.email != null and (answers.age >= 18 or answers.country in ['DE', 'AT'])
    round(sum(answers.items.total) * 1.19, 2)

`docs/reference/definition.md` is its reference. `grammar` parses a text into a tree, `types` says what each node of it
is and which make no sense, `evaluation` compiles it into closures. `Expression.document` is the tree as JSON, which
`serve_app/web/form/logic.js` evaluates with the same results; tests compare the two.

Evaluation never raises and has no effect. What cannot be calculated is null: an operand without an answer, a division
by zero, a result that is no finite number.
"""

from deployments.kit.engine.expressions.evaluation import CLOCK, OUTER, Condition, Operand, View
from deployments.kit.engine.expressions.expression import Expression, parse_expression
from deployments.kit.engine.expressions.grammar import MAX_DEPTH, MAX_LENGTH, ExpressionError, Node, Path
from deployments.kit.engine.expressions.types import type_faults

__all__ = [
    "CLOCK",
    "MAX_DEPTH",
    "MAX_LENGTH",
    "OUTER",
    "Condition",
    "Expression",
    "ExpressionError",
    "Node",
    "Operand",
    "Path",
    "View",
    "parse_expression",
    "type_faults",
]
