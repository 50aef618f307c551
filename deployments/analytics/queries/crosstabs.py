"""Cross-tabs: two fields, the cells or the means, and what they prove."""

import asyncio
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Final

from deployments.analytics.queries import significance
from deployments.analytics.queries.answering import key_of, source_of
from deployments.analytics.queries.asking import Asked, Asking, compiled
from deployments.analytics.queries.errors import TableChanged, TooManyGroups
from deployments.analytics.queries.reading import Grouping, Selected, read_selected
from deployments.analytics.queries.significance import LEAST_EXPECTED, Sample, Tested
from deployments.analytics.queries.slots import OTHER, Slot
from deployments.analytics.query_contracts import (
    AskCrosstab,
    Crosstab,
    CrosstabCell,
    CrosstabSide,
    CrosstabWarning,
    GroupFigures,
    Key,
    Significance,
)
from deployments.kit.errors import Fault, Invalid
from deployments.kit.principal import Principal

_TRIES: Final = 3
_MAX_SIDE: Final = 200
"""Values along one side."""
_MAX_ROWS: Final = _MAX_SIDE * _MAX_SIDE + 2 * _MAX_SIDE + 1
_SURPRISING: Final = 1.959963984540054
_Rows = Sequence[Mapping[str, Any]]


async def crosstab(asking: Asking, principal: Principal, wanted: AskCrosstab) -> Crosstab:
    """Two fields against each other. Raises as `QueriesApi.crosstab`."""
    form, hidden = await asking.form(principal, wanted.form_id)
    for _ in range(_TRIES):
        asked = await asking.asked(principal, form, hidden, wanted.language)
        row, column, selected = _read(wanted, asked)
        numbers = [each.slot for each in (row, column) if each.slot.kind == "number"]
        if len(numbers) == 1:
            group = column if row.slot is numbers[0] else row
            how = partial(_means, group, numbers[0], selected)
        else:
            how = partial(_counts, row, column, selected)
        statement = compiled(None, asked.schema, how)
        rows = await asking.rows(principal, form.form_id, asked.schema, statement, _MAX_ROWS)
        if rows is None:
            continue
        if len(numbers) == 1:
            return await asyncio.to_thread(_of_means, wanted, row, column, rows, asked)
        return await asyncio.to_thread(_of_counts, wanted, row, column, rows, asked)
    raise TableChanged(retry_after=1.0)


def _counts(row: Grouping, column: Grouping, selected: Selected, _: None, schema: Any) -> Any:
    from deployments.analytics.queries import crossing

    return crossing.counts(row, column, selected, schema)


def _means(group: Grouping, number: Slot, selected: Selected, _: None, schema: Any) -> Any:
    from deployments.analytics.queries import crossing

    return crossing.means(group, number, selected, schema)


def _read(wanted: AskCrosstab, asked: Asked) -> tuple[Grouping, Grouping, Selected]:
    """Raises Invalid."""
    selected, faults = read_selected(wanted.filters, wanted.where, wanted.time, asked.fields, at="/filter")
    sides = []
    for at, name in (("/row", wanted.row), ("/column", wanted.column)):
        slot = asked.slots.find(name)
        if slot is None:
            faults.append(Fault(at, "query.unknown_field", "The form has no such field."))
        elif slot.kind in ("whole", "moment"):
            faults.append(Fault(at, "query.not_a_dimension", "Responses cannot be grouped by this field."))
        else:
            sides.append(Grouping(name, slot))
    if wanted.row == wanted.column:
        faults.append(Fault("/column", "query.same_field", "A field against itself says nothing."))
    if faults:
        raise Invalid(faults=tuple(faults))
    return sides[0], sides[1], selected


def _of_counts(wanted: AskCrosstab, row: Grouping, column: Grouping, rows: _Rows, asked: Asked) -> Crosstab:
    down = _in_order(row, {each["d0"]: int(each["n"]) for each in rows if each["part"] == 1})
    across = _in_order(column, {each["d1"]: int(each["n"]) for each in rows if each["part"] == 2})
    for name, found in (("row", down), ("column", across)):
        if len(found) > _MAX_SIDE:
            raise TooManyGroups(
                f"the {name} has {len(found)} values, more than {_MAX_SIDE}; choose a field with options, or filter",
                members={"limit": {"name": name, "most": _MAX_SIDE, "asked": len(found)}},
            )
    total = next(int(each["n"]) for each in rows if each["part"] == 3)
    known = {(each["d0"], each["d1"]): int(each["n"]) for each in rows if each["part"] == 0}
    counts = [[known.get((here, there), 0) for there in across] for here in down]
    cells = [
        [_cell(count, of_row, of_column, total) for count, of_column in zip(line, across.values(), strict=True)]
        for line, of_row in zip(counts, down.values(), strict=True)
    ]
    tests, strength, warnings = _tests_of(row, column, counts, down, across, total)
    return Crosstab(
        form_id=wanted.form_id,
        kind="counts",
        row=_side(row, down),
        column=_side(column, across),
        respondents=total,
        cells=cells,
        tests=tests,
        cramers_v=strength,
        warnings=warnings,
        source=source_of(asked.schema),
    )


def _tests_of(
    row: Grouping,
    column: Grouping,
    counts: list[list[int]],
    down: Mapping[Any, int],
    across: Mapping[Any, int],
    total: int,
) -> tuple[list[Significance], float | None, list[CrosstabWarning]]:
    """The tests that suit the fields. Where respondents count more than once, each option is tested alone: chosen, or
    not."""
    if row.slot.is_several and column.slot.is_several:
        detail = "Respondents count more than once in both fields, so no test of the whole table applies."
        return [], None, [CrosstabWarning(code="crosstab.several_answers", detail=detail)]
    if not (row.slot.is_several or column.slot.is_several):
        tests, strength, least = significance.of_counts(counts)
        return [_told(each) for each in tests], strength, _doubts(tests, least)
    several, values, others = (row, down, across) if row.slot.is_several else (column, across, down)
    lines = counts if row.slot.is_several else [list(line) for line in zip(*counts, strict=True)]
    found: list[Significance] = []
    lowest = total * 1.0
    for value, line in zip(values, lines, strict=True):
        rest = [all_ - count for all_, count in zip(others.values(), line, strict=True)]
        tests, _, least = significance.of_counts([line, rest])
        lowest = min(lowest, least) if tests else lowest
        found += [_told(each, key_of(several, value)) for each in tests]
    detail = (
        "Respondents count more than once: each option is tested alone, chosen or not, and many tests find by chance."
    )
    warnings = [CrosstabWarning(code="crosstab.several_answers", detail=detail)]
    return found, None, [*warnings, *(_few() if lowest < LEAST_EXPECTED else [])]


def _of_means(wanted: AskCrosstab, row: Grouping, column: Grouping, rows: _Rows, asked: Asked) -> Crosstab:
    group = column if row.slot.kind == "number" else row
    found = {each["d0"]: each for each in rows if each["part"] == 0}
    values = _in_order(group, {value: int(each["n"]) for value, each in found.items()})
    if len(values) > _MAX_SIDE:
        raise TooManyGroups(
            f"the field has {len(values)} values, more than {_MAX_SIDE}; choose one with options, or filter",
            members={"limit": {"name": "groups", "most": _MAX_SIDE, "asked": len(values)}},
        )
    groups = [_figures(group, found[value]) for value in values]
    warnings = []
    tests: list[Tested] = []
    if group.slot.is_several:
        detail = "Respondents count in more than one group, so no test of the groups applies."
        warnings.append(CrosstabWarning(code="crosstab.several_answers", detail=detail))
    else:
        tests = significance.of_samples([_sample(found[value]) for value in values])
        warnings += [] if tests else _nothing()
    total = next(int(each["n"]) for each in rows if each["part"] == 1)
    return Crosstab(
        form_id=wanted.form_id,
        kind="means",
        row=_side(row, {} if row is not group else values),
        column=_side(column, {} if column is not group else values),
        respondents=total,
        groups=groups,
        tests=[_told(each) for each in tests],
        warnings=warnings,
        source=source_of(asked.schema),
    )


def _cell(count: int, row: int, column: int, total: int) -> CrosstabCell:
    odd = significance.residual(count, row, column, total)
    is_odd = odd is not None and abs(odd) > _SURPRISING
    return CrosstabCell(
        count=count,
        row_share=count / row,
        column_share=count / column,
        total_share=count / total,
        expected=significance.expected(row, column, total),
        residual=odd,
        differs=None if odd is None or not is_odd else "more" if odd > 0 else "less",
    )


def _in_order(grouping: Grouping, found: Mapping[Any, int]) -> dict[Any, int]:
    """The values with their counts: options as in the form, then an answer in own words, other values by size."""
    known = {value: place for place, value in enumerate([*grouping.slot.labels, OTHER])}

    def turn(value: Any) -> tuple[int, Any]:
        return (known.get(value, len(known)), value) if isinstance(value, str) else (0, value)

    return {value: found[value] for value in sorted(found, key=turn)}


def _side(grouping: Grouping, found: Mapping[Any, int]) -> CrosstabSide:
    return CrosstabSide(
        field=grouping.name,
        label=grouping.slot.title,
        type=grouping.type,
        several=grouping.slot.is_several,
        keys=[key_of(grouping, value) for value in found],
        totals=list(found.values()),
    )


def _figures(group: Grouping, row: Mapping[str, Any]) -> GroupFigures:
    variance = row["variance"]
    return GroupFigures(
        key=key_of(group, row["d0"]),
        count=int(row["n"]),
        mean=row["mean"],
        stdev=None if variance is None else float(variance) ** 0.5,
        minimum=row["minimum"],
        median=row["median"],
        maximum=row["maximum"],
    )


def _sample(row: Mapping[str, Any]) -> Sample:
    return Sample(int(row["n"]), row["mean"], row["variance"], row["ranks"], row["ties"])


def _told(tested: Tested, key: Key | None = None) -> Significance:
    test: Any = tested.test
    return Significance(test=test, statistic=tested.statistic, degrees=list(tested.degrees), p=tested.p, key=key)


def _doubts(tests: list[Tested], least: float) -> list[CrosstabWarning]:
    if not tests:
        return _nothing()
    return _few() if least < LEAST_EXPECTED else []


def _nothing() -> list[CrosstabWarning]:
    detail = "There are not two groups with different answers, so there is nothing to test."
    return [CrosstabWarning(code="crosstab.nothing_to_test", detail=detail)]


def _few() -> list[CrosstabWarning]:
    detail = "Fewer than 5 are expected in a cell, so p of chi-square is not to be relied on."
    return [CrosstabWarning(code="crosstab.few_expected", detail=detail)]
