"""A value that is calculated from other answers. What is sent for it is ignored."""

from collections.abc import Iterator
from typing import Any, Literal

from deployments.kit.engine.columns import LABELLED, Answers, Column, Style
from deployments.kit.engine.expressions.numbers import normal
from deployments.kit.engine.fields.boolean import TEXTS
from deployments.kit.engine.fields.field import Condition, Field, Validator
from deployments.kit.errors import Fault


class CalculatedField(Field):
    """The value of the expression `value`: a number, a text, a date or a truth; absent when it is null."""

    type: Literal["calculated"]
    value: Condition
    """The expression that is calculated."""

    def faults(self) -> Iterator[Fault]:
        for name in ("required", "required_if"):
            if getattr(self, name):
                yield Fault(f"/{name}", "definition.not_here", "What is calculated cannot be required.")

    def compile(self) -> Validator:
        def check(raw: Any, _faults: list[Fault]) -> Any:
            if type(raw) is float:
                return normal(raw)
            return raw if type(raw) in (str, int, bool) and raw != "" else None

        return check

    def export_columns(self, style: Style = LABELLED) -> tuple[Column, ...]:
        field_id, texts = self.id, TEXTS[style.labels]

        def cell(answers: Answers) -> str:
            value = answers.get(field_id)
            if type(value) is bool:
                return texts[value]
            return str(value) if type(value) in (str, int, float) else ""

        return (Column(field_id, self.title, field_id, cell),)


TYPES = (CalculatedField,)
