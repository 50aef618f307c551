"""Numbers: number, currency, integer, and the scales rating, scale and NPS. Answers are JSON numbers."""

from collections.abc import Iterator
from math import inf, isfinite
from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import Field as Attribute
from pydantic import PlainValidator, StringConstraints, WithJsonSchema
from pydantic_core import PydanticCustomError

from deployments.kit.engine.columns import Kind
from deployments.kit.engine.expressions import View
from deployments.kit.engine.expressions.numbers import normal, number_text
from deployments.kit.engine.expressions.types import NUMBER
from deployments.kit.engine.fields.field import Field, Label, Model, Validator, bounds_fault
from deployments.kit.errors import Fault

MIN_INTEGER: Final = -(2**63)
MAX_INTEGER: Final = 2**63 - 1
_EXACT: Final = 2**53


def _bound(value: object) -> int | float:
    if type(value) is int and MIN_INTEGER <= value <= MAX_INTEGER:
        return value
    if type(value) is float and isfinite(value):
        return value
    if type(value) is int:
        raise PydanticCustomError("definition.range", "A whole number has at most 64 bits.")
    raise PydanticCustomError("definition.type", "This must be a number.")


Bound = Annotated[int | float, PlainValidator(_bound), WithJsonSchema({"type": "number"})]


class NumberValidation(Model):
    """`min` and `max` are inclusive; `max_decimals` bounds the digits after the point; `unique` allows each once."""

    min: Bound | None = None
    """The least number."""
    max: Bound | None = None
    """The greatest number."""
    max_decimals: int | None = Attribute(default=None, ge=0, le=10)
    """Most digits after the point."""
    unique: bool = False
    """Each number may be given once in the form's responses."""


class IntegerValidation(Model):
    """`min` and `max` are inclusive; `unique` allows each number once."""

    min: int | None = Attribute(default=None, ge=MIN_INTEGER, le=MAX_INTEGER)
    """The least number."""
    max: int | None = Attribute(default=None, ge=MIN_INTEGER, le=MAX_INTEGER)
    """The greatest number."""
    unique: bool = False
    """Each number may be given once in the form's responses."""


class NumericField(Field):
    """What all numeric types share."""

    value_type: ClassVar[str] = NUMBER
    column_kind: ClassVar[Kind] = "integer"

    def worth(self) -> View:
        return lambda value: value


class DecimalField(NumericField):
    """What number and currency share."""

    column_kind: ClassVar[Kind] = "number"
    default_decimals: ClassVar[int | None] = None

    validation: NumberValidation = NumberValidation()
    """What a number must be like."""

    def faults(self) -> Iterator[Fault]:
        yield from bounds_fault(self.validation.min, self.validation.max)

    def compile(self) -> Validator:
        rules = self.validation
        decimals = self.default_decimals if rules.max_decimals is None else rules.max_decimals
        return compile_number(self, rules.min, rules.max, decimals=decimals)

    def canonical(self, value: Any) -> str | None:
        # 3.0 is the same number as 3.
        return str(value) if type(value) is int else number_text(normal(value) or 0)


class NumberField(DecimalField):
    """A finite number; integers stay exact and have at most 64 bits."""

    type: Literal["number"]


class CurrencyField(DecimalField):
    """An amount of one currency (ISO 4217 code), with two decimals unless `validation.max_decimals` says otherwise."""

    default_decimals = 2
    type: Literal["currency"]
    currency: Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")]
    """The code of the currency (ISO 4217)."""


class IntegerField(NumericField):
    """A whole number of at most 64 bits."""

    type: Literal["integer"]
    validation: IntegerValidation = IntegerValidation()
    """What a number must be like."""

    def faults(self) -> Iterator[Fault]:
        yield from bounds_fault(self.validation.min, self.validation.max)

    def compile(self) -> Validator:
        return compile_number(self, self.validation.min, self.validation.max, whole=True)

    def canonical(self, value: Any) -> str | None:
        return str(value)


class RatingField(NumericField):
    """A rating from 1 to `max`."""

    type: Literal["rating"]
    max: int = Attribute(default=5, ge=2, le=10)
    """The best rating."""

    def compile(self) -> Validator:
        return compile_number(self, 1, self.max, whole=True)


class ScaleField(NumericField):
    """A step of a scale from `min` to `max`, whose ends may have labels."""

    type: Literal["scale"]
    min: int = Attribute(default=1, ge=-100, le=100)
    """The first step."""
    max: int = Attribute(default=5, ge=-100, le=100)
    """The last step."""
    min_label: Label | None = None
    """What the first step means."""
    max_label: Label | None = None
    """What the last step means."""

    def faults(self) -> Iterator[Fault]:
        yield from bounds_fault(self.min, self.max, "min")

    def compile(self) -> Validator:
        return compile_number(self, self.min, self.max, whole=True)


class NpsField(NumericField):
    """The answer to "how likely are you to recommend us", from 0 to 10 (Net Promoter Score)."""

    type: Literal["nps"]
    min_label: Label | None = None
    """What 0 means."""
    max_label: Label | None = None
    """What 10 means."""

    def compile(self) -> Validator:
        return compile_number(self, 0, 10, whole=True)


def compile_number(
    field: Field, low: float | None, high: float | None, *, whole: bool = False, decimals: int | None = None
) -> Validator:
    """The validator of a number between `low` and `high`. With `whole`, 3.0 is taken as 3."""
    not_number = field.fault("type", "This must be a whole number." if whole else "This must be a number.")
    least, most = MIN_INTEGER if low is None else low, MAX_INTEGER if high is None else high
    too_low = field.fault("range.min", f"Enter at least {least}.", min=least)
    too_high = field.fault("range.max", f"Enter at most {most}.", max=most)
    too_fine = field.fault("decimals.max", f"Enter at most {decimals} decimals.", max=decimals)
    lowest = low if low is not None else -inf
    highest = high if high is not None else inf

    def check(raw: Any, faults: list[Fault]) -> int | float | None:
        value = raw
        valid = True
        if type(value) is float:
            if not isfinite(value) or (whole and not (value.is_integer() and abs(value) <= _EXACT)):
                faults.append(not_number)
                return None
            if whole:
                value = int(value)
            elif decimals is not None and round(value, decimals) != value:
                faults.append(too_fine)
                valid = False
        elif type(value) is not int:
            faults.append(not_number)
            return None
        if value < lowest or (type(value) is int and value < MIN_INTEGER):
            faults.append(too_low)
            valid = False
        elif value > highest or (type(value) is int and value > MAX_INTEGER):
            faults.append(too_high)
            valid = False
        return value if valid else None

    return check


TYPES = (NumberField, CurrencyField, IntegerField, RatingField, ScaleField, NpsField)
