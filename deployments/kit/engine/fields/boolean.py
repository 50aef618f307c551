"""Yes or no, and consent. Answers are JSON booleans."""

from typing import Any, ClassVar, Literal

from deployments.kit.engine.columns import LABELLED, Answers, Column, Style
from deployments.kit.engine.expressions import View
from deployments.kit.engine.expressions.types import TRUTH
from deployments.kit.engine.fields.field import Field, Validator
from deployments.kit.errors import Fault

TEXTS = {True: {True: "Yes", False: "No"}, False: {True: "true", False: "false"}}
"""How truths are told: as labels, and else."""


class BooleanField(Field):
    """What yes/no and consent share; exported as Yes and No. Worth 1 and 0."""

    value_type: ClassVar[str] = TRUTH

    def worth(self) -> View:
        return int

    def compile(self) -> Validator:
        not_boolean = self.fault("type", "This must be true or false.")

        def check(raw: Any, faults: list[Fault]) -> bool | None:
            if type(raw) is bool:
                return raw
            faults.append(not_boolean)
            return None

        return check

    def export_columns(self, style: Style = LABELLED) -> tuple[Column, ...]:
        field_id, texts = self.id, TEXTS[style.labels]

        def cell(answers: Answers) -> str:
            value = answers.get(field_id)
            return texts[value] if type(value) is bool else ""

        return (Column(field_id, self.title, field_id, cell, "boolean"),)


class YesNoField(BooleanField):
    """A question that is answered with yes or no."""

    type: Literal["yes_no"]


class ConsentField(BooleanField):
    """A statement to agree to. A required consent must be given: false counts as absent."""

    type: Literal["consent"]

    def compile(self) -> Validator:
        check = super().compile()
        if not self.required:
            return check
        return lambda raw, faults: check(raw, faults) or None


TYPES = (YesNoField, ConsentField)
