"""Choosing one or several options, with a free text beside them where the form allows it.

Answers of `choice` and `dropdown`: `"corn"`; with `allow_other` also `{"other": "free text"}` and
`{"option": "corn", "other": "free text"}`. Answers of `multi_choice`: `["corn", "yams"]`; with `allow_other` also
`{"options": ["corn"], "other": "free text"}`. The object form is kept only when there is a free text.
"""

from collections.abc import Callable, Iterator
from typing import Any, ClassVar, Final, Literal

from pydantic import Field as Attribute

from deployments.kit.engine.columns import LABELLED, Answers, Column, Style, list_column, part_title
from deployments.kit.engine.expressions import View
from deployments.kit.engine.expressions.numbers import normal, sum_of
from deployments.kit.engine.expressions.types import TEXT, list_of
from deployments.kit.engine.fields.field import Field, Model, Validator, bounds_fault
from deployments.kit.engine.fields.option import (
    MAX_OPTIONS,
    Option,
    Options,
    duplicate_faults,
    option_ids,
    scores,
    told,
)
from deployments.kit.engine.fields.text import compile_text
from deployments.kit.errors import Fault

OTHER: Final = "other"
MAX_OTHER: Final = 2_000


class OptionsField(Field):
    """What the choices share. With `allow_other` the option id `other` is reserved for the free text."""

    options: Options
    """What there is to choose."""
    allow_other: bool = False
    """A free text may be given beside or instead of an option."""

    def worth(self) -> View:
        worths, view = scores(self.options), self.view

        def add_up(value: Any) -> Any:
            chosen = view(value)
            return normal(sum_of(worths.get(item, 0) for item in (chosen if type(chosen) is list else (chosen,))))

        return add_up

    def browser_scores(self) -> dict[str, float]:
        return scores(self.options)

    def faults(self) -> Iterator[Fault]:
        yield from duplicate_faults(self.options, "options")
        for index, option in enumerate(self.options):
            if self.allow_other and option.id == OTHER:
                detail = "With allow_other the id 'other' is reserved for the free text."
                yield Fault(f"/options/{index}/id", "definition.reserved_id", detail)

    def parts(self) -> frozenset[str]:
        return frozenset({OTHER} if self.allow_other else ())

    def other_columns(self) -> tuple[Column, ...]:
        """The column of the free text, when there may be one."""
        field_id = self.id

        def cell(answers: Answers) -> str:
            value = answers.get(field_id)
            return value.get(OTHER, "") if type(value) is dict else ""

        title = part_title(self.title, "Other")
        return (Column(f"{field_id}.{OTHER}", title, field_id, cell),) if self.allow_other else ()

    def compile_choice(self, choice: str, check_chosen: Validator) -> Validator:
        """The validator of the object form, in which the key `choice` holds what `check_chosen` checks."""
        bad_type = self.fault("type", "This must name the options chosen.")
        check_other = compile_text(self.fault, OTHER, longest=MAX_OTHER)
        no_other = self.fault("option.other", "A free text is not allowed here.", OTHER)
        keys = frozenset((choice, OTHER))

        def check(raw: Any, faults: list[Fault]) -> Any:
            if type(raw) is not dict or not keys.issuperset(raw):
                faults.append(bad_type)
                return None
            before = len(faults)
            chosen, other = raw.get(choice), raw.get(OTHER)
            chosen = None if chosen is None or chosen in ("", []) else check_chosen(chosen, faults)
            other = None if other is None or other == "" else check_other(other, faults)
            if other is not None and not self.allow_other:
                faults.append(no_other)
            if len(faults) != before:
                return None
            if other is None:
                return chosen
            return {OTHER: other} if chosen is None else {choice: chosen, OTHER: other}

        return check


class SingleChoiceField(OptionsField):
    """What choice and dropdown share: one option."""

    browser_view: ClassVar[str | None] = "choice"

    def compile(self) -> Validator:
        ids = option_ids(self.options)
        unknown = self.fault("option.unknown", "This is none of the options.")
        bad_type = self.fault("type", "This must be the id of an option.")

        def check_option(raw: Any, faults: list[Fault]) -> str | None:
            if type(raw) is str and raw in ids:
                return raw
            faults.append(unknown if type(raw) is str else bad_type)
            return None

        check_object = self.compile_choice("option", check_option)
        return lambda raw, faults: (check_object if type(raw) is dict else check_option)(raw, faults)

    def view(self, value: Any) -> Any:
        return value.get("option", value[OTHER]) if type(value) is dict else value

    def export_columns(self, style: Style = LABELLED) -> tuple[Column, ...]:
        field_id, texts = self.id, told(self.options, style)

        def cell(answers: Answers) -> str:
            value = answers.get(field_id)
            chosen = value.get("option") if type(value) is dict else value
            return texts.get(chosen, "") if type(chosen) is str else ""

        return (Column(field_id, self.title, field_id, cell), *self.other_columns())


class ChoiceField(SingleChoiceField):
    """One option, shown as a list."""

    type: Literal["choice"]


class DropdownField(SingleChoiceField):
    """One option, shown as a drop-down list."""

    type: Literal["dropdown"]


class ChoicesValidation(Model):
    """How many options may be chosen; the free text counts as one."""

    min_choices: int | None = Attribute(default=None, ge=0, le=MAX_OPTIONS)
    """Fewest that are named."""
    max_choices: int | None = Attribute(default=None, ge=1, le=MAX_OPTIONS)
    """Most that are named."""


class MultiChoiceField(OptionsField):
    """Any number of options."""

    value_type, browser_view = list_of(TEXT), "choices"
    type: Literal["multi_choice"]
    validation: ChoicesValidation = ChoicesValidation()
    """How many are to be chosen."""

    def faults(self) -> Iterator[Fault]:
        yield from super().faults()
        yield from bounds_fault(self.validation.min_choices, self.validation.max_choices, "validation/min_choices")

    def compile(self) -> Validator:
        check_list = compile_options(self, self.options)
        check_object = self.compile_choice("options", check_list)
        check_count = compile_count(self, self.validation)

        def check(raw: Any, faults: list[Fault]) -> Any:
            value = (check_object if type(raw) is dict else check_list)(raw, faults)
            if value is None:
                return None
            number = len(value) if type(value) is list else 1 + len(value.get("options", ()))
            return value if check_count(number, faults) else None

        return check

    def view(self, value: Any) -> Any:
        return [*value.get("options", ()), value[OTHER]] if type(value) is dict else value

    def export_columns(self, style: Style = LABELLED) -> tuple[Column, ...]:
        if style.lists:
            names = told(self.options, style)
            return (list_column(self.id, self.title, self.id, self._chosen, names), *self.other_columns())
        chosen = (self._option_column(option, option.label if style.labels else option.id) for option in self.options)
        return (*chosen, *self.other_columns())

    def _chosen(self, answers: Answers) -> list[str]:
        value = answers.get(self.id)
        chosen = value.get("options") if type(value) is dict else value
        return chosen if type(chosen) is list else []

    def _option_column(self, option: Option, text: str) -> Column:
        field_id, option_id = self.id, option.id

        def cell(answers: Answers) -> str:
            value = answers.get(field_id)
            chosen = value.get("options") if type(value) is dict else value
            return text if type(chosen) is list and option_id in chosen else ""

        return Column(f"{field_id}.{option_id}", part_title(self.title, option.label), field_id, cell)


def compile_options(field: Field, options: Options, *tokens: object) -> Validator:
    """The validator of a list of option ids, each at most once; it keeps the order of the answer."""
    ids = option_ids(options)
    bad_type = field.fault("type", "This must be a list of option ids.", *tokens)
    too_many = field.fault("choices.max", f"Choose at most {len(options)}.", *tokens, max=len(options))

    def check(raw: Any, faults: list[Fault]) -> list[str] | None:
        if type(raw) is not list:
            faults.append(bad_type)
            return None
        if len(raw) > MAX_OPTIONS:
            faults.append(too_many)
            return None
        seen: set[str] = set()
        for index, item in enumerate(raw):
            if type(item) is not str or item not in ids:
                faults.append(field.fault("option.unknown", "This is none of the options.", *tokens, index))
            elif item in seen:
                faults.append(field.fault("option.duplicate", "This option is chosen twice.", *tokens, index))
            else:
                seen.add(item)
        return list(raw) if raw and len(seen) == len(raw) else None

    return check


def compile_count(field: Field, rules: ChoicesValidation) -> Callable[[int, list[Fault]], bool]:
    """The check of how many options an answer names."""
    lowest, highest = rules.min_choices or 0, rules.max_choices or MAX_OPTIONS + 1
    too_few = field.fault("choices.min", f"Choose at least {lowest}.", min=lowest)
    too_many = field.fault("choices.max", f"Choose at most {highest}.", max=highest)

    def check(number: int, faults: list[Fault]) -> bool:
        if lowest <= number <= highest:
            return True
        faults.append(too_few if number < lowest else too_many)
        return False

    return check


TYPES = (ChoiceField, DropdownField, MultiChoiceField)
