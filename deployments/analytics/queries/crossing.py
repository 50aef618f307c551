"""Two fields against each other: the statements, and the cells that come of them."""

from typing import Any, Final

from sqlglot import exp

from deployments.analytics.queries.compiling import Scan, Statement, spread
from deployments.analytics.queries.expressions import (
    NULL,
    Sql,
    call,
    cast,
    counted,
    operation,
    ordered,
    over,
    text_of,
)
from deployments.analytics.queries.reading import Grouping, Selected
from deployments.analytics.queries.slots import Slot
from deployments.analytics.queries.tables import TableSchema


def counts(row: Grouping, column: Grouping, selected: Selected, schema: TableSchema) -> Statement:
    """Rows of `part`: 0 of cells, 1 of values of the row, 2 of the column, 3 of all; the values `d0` and `d1`; and `n`,
    the respondents. Raises NotInTable."""
    scan = Scan(schema)
    columns = [("d0", scan.key(row)), ("d1", scan.key(column))]
    parts: list[tuple[str, exp.Query]] = [("base", scan.rows(columns, selected, ["d0", "d1"]))]
    for key, grouping in (("d0", row), ("d1", column)):
        source = "base"
        unnested = call("UNNEST", exp.column(key)) if grouping.slot.is_several else exp.column(key)
        parts.append((f"only_{key}", exp.select(exp.alias_(unnested, key)).from_(source)))
    before = "base"
    for key, grouping in (("d0", row), ("d1", column)):
        if grouping.slot.is_several:
            kept = [
                exp.alias_(call("UNNEST", exp.column(name)), name) if name == key else exp.column(name)
                for name in ("d0", "d1")
            ]
            parts.append((f"each_{key}", exp.select(*kept).from_(before)))
            before = f"each_{key}"
    cells = _numbered(0, exp.column("d0"), exp.column("d1")).from_(before)
    rows = _numbered(1, exp.column("d0"), NULL).from_("only_d0")
    across = _numbered(2, NULL, exp.column("d1")).from_("only_d1")
    everybody = _numbered(3, NULL, NULL).from_("base")
    query: exp.Query = exp.union(
        exp.union(cells.group_by("d0", "d1"), rows.group_by("d0"), distinct=False),
        exp.union(across.group_by("d1"), everybody, distinct=False),
        distinct=False,
    ).order_by(_LAST_FIRST)
    for name, part in parts:
        query = query.with_(name, part)
    return Statement(text_of(query), scan.bound.values)


def means(group: Grouping, number: Slot, selected: Selected, schema: TableSchema) -> Statement:
    """A row for each value `d0` of the group: its figures, and of its ranks among all numbers the sum `ranks`, with
    `ties`, the sum of t² - 1 over its numbers that occur t times; and one row with `part` 1, whose `n` counts
    respondents. Raises NotInTable."""
    scan = Scan(schema)
    columns = [("d0", scan.key(group)), ("f0", scan.measured(number))]
    parts: list[tuple[str, exp.Query]] = [("base", scan.rows(columns, selected, ["d0", "f0"]))]
    value, key = exp.column("f0"), exp.column("d0")
    before = "base"
    if group.slot.is_several:
        parts.append(("each_d0", exp.select(exp.alias_(call("UNNEST", key), "d0"), value).from_(before)))
        before = "each_d0"
    same = over(counted(), partition=[value])
    rank = over(call("RANK"), order=[exp.Ordered(this=value)])
    half = operation(exp.Div, exp.paren(operation(exp.Sub, same, exp.Literal.number(1))), exp.Literal.number("2.0"))
    ranked = exp.select(key, value, exp.alias_(operation(exp.Add, rank, half), "r"), exp.alias_(same, "t"))
    parts.append(("ranked", ranked.from_(before)))
    tied = cast(exp.column("t"), "DOUBLE")
    squared = operation(exp.Sub, operation(exp.Mul, tied, tied.copy()), exp.Literal.number(1))
    figures: list[Sql] = [
        *(exp.alias_(call(name, value), alias) for name, alias in _FIGURES),
        exp.alias_(spread("VAR_SAMP", value), "variance"),
        exp.alias_(call("QUANTILE_CONT", value, exp.Literal.number("0.5")), "median"),
        exp.alias_(call("SUM", exp.column("r")), "ranks"),
        exp.alias_(call("SUM", squared), "ties"),
    ]
    groups = _numbered(0, key).select(*figures).from_("ranked").group_by(key)
    everybody = _numbered(1, NULL).select(*(NULL for _ in figures)).from_("base")
    query: exp.Query = exp.union(groups, everybody, distinct=False).order_by(_LAST_FIRST)
    for name, part in parts:
        query = query.with_(name, part)
    return Statement(text_of(query), scan.bound.values)


# What is left out of a long answer are cells, and the sides tell that there are too many.
_LAST_FIRST: Final = ordered(exp.column("part"), descending=True)
_FIGURES: Final = (
    ("AVG", "mean"),
    ("MIN", "minimum"),
    ("MAX", "maximum"),
)


def _numbered(part: int, *keys: Any) -> exp.Select:
    named = [exp.alias_(key, f"d{place}") for place, key in enumerate(keys)]
    return exp.select(exp.alias_(exp.Literal.number(part), "part"), *named, exp.alias_(counted(), "n"))
