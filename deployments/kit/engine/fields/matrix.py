"""Tables of questions with common columns.

Answers of `matrix`: a mapping from row id to column id. Answers of `matrix_multi`: a mapping from row id to a list of
column ids. Rows without an answer are left out.
"""

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Final, Literal

from deployments.kit.engine.columns import LABELLED, Answers, Column, Style, list_column, part_title
from deployments.kit.engine.expressions import View
from deployments.kit.engine.expressions.numbers import normal, sum_of
from deployments.kit.engine.expressions.types import MAP, TEXT, list_of
from deployments.kit.engine.fields.choice import compile_options
from deployments.kit.engine.fields.field import Field, Validator
from deployments.kit.engine.fields.option import (
    MAX_OPTIONS,
    Option,
    Options,
    duplicate_faults,
    option_ids,
    scores,
    told,
)
from deployments.kit.errors import Fault

MAX_CELLS: Final = MAX_OPTIONS


class TableField(Field):
    """What the matrices share: rows to answer, columns to choose from; worth the scores of the columns chosen."""

    value_type: ClassVar[str] = MAP

    rows: Options
    """What is asked about."""
    columns: Options
    """What there is to choose in each row."""

    def faults(self) -> Iterator[Fault]:
        yield from duplicate_faults(self.rows, "rows")
        yield from duplicate_faults(self.columns, "columns")

    def parts(self) -> frozenset[str]:
        return option_ids(self.rows)

    def worth(self) -> View:
        worths = scores(self.columns)

        def add_up(value: Any) -> Any:
            chosen = (item for row in value.values() for item in (row if type(row) is list else (row,)))
            return normal(sum_of(worths.get(item, 0) for item in chosen))

        return add_up

    def browser_scores(self) -> dict[str, float]:
        return scores(self.columns)

    @abstractmethod
    def compile_row(self, row_id: str) -> Validator:
        """The validator of one row's answer."""

    def compile(self) -> Validator:
        rows: Mapping[str, Validator] = {row.id: self.compile_row(row.id) for row in self.rows}
        bad_type = self.fault("type", "This must be a mapping from rows to columns.")
        too_many = self.fault("option.unknown", "More rows are answered than there are.")

        def check(raw: Any, faults: list[Fault]) -> dict[str, Any] | None:
            if type(raw) is not dict:
                faults.append(bad_type)
                return None
            if len(raw) > MAX_OPTIONS:
                faults.append(too_many)
                return None
            before = len(faults)
            answers: dict[str, Any] = {}
            for row, chosen in raw.items():
                check_row = rows.get(row)
                if check_row is None:
                    faults.append(self.fault("option.unknown", "This is none of the rows.", row))
                elif chosen is not None and chosen not in ("", []):
                    answers[row] = check_row(chosen, faults)
            return answers if answers and len(faults) == before else None

        return check


class MatrixField(TableField):
    """One column per row."""

    type: Literal["matrix"]

    def compile_row(self, row_id: str) -> Validator:
        ids = option_ids(self.columns)
        unknown = self.fault("option.unknown", "This is none of the columns.", row_id)

        def check(raw: Any, faults: list[Fault]) -> str | None:
            if type(raw) is str and raw in ids:
                return raw
            faults.append(unknown)
            return None

        return check

    def export_columns(self, style: Style = LABELLED) -> tuple[Column, ...]:
        texts = told(self.columns, style)
        return tuple(self._row_column(row, texts) for row in self.rows)

    def _row_column(self, row: Option, texts: Mapping[str, str]) -> Column:
        field_id, row_id = self.id, row.id

        def cell(answers: Answers) -> str:
            value = answers.get(field_id)
            chosen = value.get(row_id) if type(value) is dict else None
            return texts.get(chosen, "") if type(chosen) is str else ""

        return Column(f"{field_id}.{row_id}", part_title(self.title, row.label), field_id, cell)


class MatrixMultiField(TableField):
    """Any number of columns per row; at most 1,000 cells, because each is a column of the export."""

    part_type = list_of(TEXT)
    type: Literal["matrix_multi"]

    def faults(self) -> Iterator[Fault]:
        yield from super().faults()
        if len(self.rows) * len(self.columns) > MAX_CELLS:
            yield Fault("/rows", "definition.too_many", f"Rows times columns are at most {MAX_CELLS}.")

    def compile_row(self, row_id: str) -> Validator:
        return compile_options(self, self.columns, row_id)

    def export_columns(self, style: Style = LABELLED) -> tuple[Column, ...]:
        if style.lists:
            return tuple(self._list_column(row, told(self.columns, style)) for row in self.rows)
        return tuple(self._cell_column(row, column, style) for row in self.rows for column in self.columns)

    def _list_column(self, row: Option, names: Mapping[str, str]) -> Column:
        field_id, row_id = self.id, row.id

        def items(answers: Answers) -> list[str]:
            value = answers.get(field_id)
            chosen = value.get(row_id) if type(value) is dict else None
            return chosen if type(chosen) is list else []

        return list_column(f"{field_id}.{row_id}", part_title(self.title, row.label), field_id, items, names)

    def _cell_column(self, row: Option, column: Option, style: Style) -> Column:
        field_id, row_id, column_id = self.id, row.id, column.id
        text = column.label if style.labels else column.id

        def cell(answers: Answers) -> str:
            value = answers.get(field_id)
            chosen = value.get(row_id) if type(value) is dict else None
            return text if type(chosen) is list and column_id in chosen else ""

        title = part_title(self.title, row.label, column.label)
        return Column(f"{field_id}.{row_id}.{column_id}", title, field_id, cell)


TYPES = (MatrixField, MatrixMultiField)
