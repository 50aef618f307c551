"""Ranking of options.

Answers: a list of option ids, best first, or a mapping from option id to rank (1 is best). Both become the mapping.
Options may be left out; a rank may be given twice only with `allow_ties`.
"""

from collections.abc import Iterator
from typing import Any, Literal

from deployments.kit.engine.columns import LABELLED, Answers, Column, Style, part_title
from deployments.kit.engine.expressions.types import MAP, NUMBER
from deployments.kit.engine.fields.choice import ChoicesValidation, compile_count, compile_options
from deployments.kit.engine.fields.field import Field, Validator, bounds_fault
from deployments.kit.engine.fields.option import MAX_OPTIONS, Options, duplicate_faults, option_ids
from deployments.kit.errors import Fault


class RankingField(Field):
    """An order of options; `validation` bounds how many are ranked."""

    value_type, part_type, browser_view = MAP, NUMBER, "ranks"
    type: Literal["ranking"]
    options: Options
    """What there is to rank."""
    allow_ties: bool = False
    """A rank may be given twice."""
    validation: ChoicesValidation = ChoicesValidation()
    """How many are to be ranked."""

    def faults(self) -> Iterator[Fault]:
        yield from duplicate_faults(self.options, "options")
        yield from bounds_fault(self.validation.min_choices, self.validation.max_choices, "validation/min_choices")

    def parts(self) -> frozenset[str]:
        return option_ids(self.options)

    def compile(self) -> Validator:
        check_list = compile_options(self, self.options)
        check_ranks = self._compile_ranks()
        check_count = compile_count(self, self.validation)

        def check(raw: Any, faults: list[Fault]) -> dict[str, int] | None:
            if type(raw) is dict:
                ranks = check_ranks(raw, faults)
            else:
                order = check_list(raw, faults)
                ranks = order and {option: rank for rank, option in enumerate(order, 1)}
            return ranks if ranks and check_count(len(ranks), faults) else None

        return check

    def export_columns(self, style: Style = LABELLED) -> tuple[Column, ...]:
        return tuple(self._rank_column(option.id, option.label) for option in self.options)

    def _compile_ranks(self) -> Validator:
        ids, worst, ties = option_ids(self.options), len(self.options), self.allow_ties
        too_many = self.fault("choices.max", f"Rank at most {worst}.", max=worst)

        def check(raw: Any, faults: list[Fault]) -> dict[str, int] | None:
            if len(raw) > MAX_OPTIONS:
                faults.append(too_many)
                return None
            before = len(faults)
            ranks: dict[str, int] = {}
            taken: set[int] = set()
            for option, rank in raw.items():
                if option not in ids:
                    faults.append(self.fault("option.unknown", "This is none of the options.", option))
                elif rank is None or rank == "":
                    continue
                elif type(rank) is not int or not 1 <= rank <= worst:
                    faults.append(self.fault("rank.range", f"A rank is a number from 1 to {worst}.", option, max=worst))
                elif rank in taken and not ties:
                    faults.append(self.fault("rank.duplicate", "This rank is given twice.", option))
                else:
                    taken.add(rank)
                    ranks[option] = rank
            return ranks if len(faults) == before else None

        return check

    def _rank_column(self, option_id: str, label: str) -> Column:
        field_id = self.id

        def cell(answers: Answers) -> str:
            value = answers.get(field_id)
            return str(value[option_id]) if type(value) is dict and option_id in value else ""

        return Column(f"{field_id}.{option_id}", part_title(self.title, label), field_id, cell, "integer")


TYPES = (RankingField,)
