"""From a plan to one statement: who is counted, their groups, the totals."""

from dataclasses import dataclass
from typing import Any, Final

from sqlglot import exp

from deployments.analytics.queries.conditions import Conditions
from deployments.analytics.queries.expressions import (
    FALSE,
    NULL,
    Parameters,
    Sql,
    at,
    both,
    call,
    cast,
    counted,
    is_there,
    listed,
    operation,
    ordered,
    over,
    source,
    text_of,
    when,
    where,
)
from deployments.analytics.queries.reading import Figure, Grouping, Order, Plan, Selected
from deployments.analytics.queries.slots import OTHER, Slot
from deployments.analytics.queries.tables import TableSchema

_MOST_ORDERED: Final = 200
_LARGEST_SQUARED: Final = 1e150
_OPERATION: Final = {"sum": "SUM", "avg": "AVG", "min": "MIN", "max": "MAX"}


@dataclass(frozen=True, slots=True)
class Statement:
    """SQL and its parameters. Its rows are `part`, 0 of groups and 1 of the totals; `rest`, whether it is what did not
    get among the top; the keys `d0`…; the figures `m0`…; `place`, the row's turn; and `total`, how many groups there
    are, of the totals how many respondents."""

    sql: str
    parameters: list[Any]


def compile_plan(plan: Plan, schema: TableSchema) -> Statement:
    """The statement for the plan. Raises NotInTable."""
    return _Compiler(plan, schema).statement()


class Scan:
    """The responses that are counted, with the columns that are asked for; what makes them `d0`, `f0` and so on."""

    def __init__(self, schema: TableSchema) -> None:
        self.schema = schema
        self.bound = Parameters()

    def rows(self, columns: list[tuple[str, Sql]], selected: Selected, needed: list[str]) -> exp.Select:
        """Rows with these columns, of which the ones in `needed` are there."""
        inner = exp.select(*(exp.alias_(value, name) for name, value in columns)).from_(source(self.schema))
        conditions = [Conditions(self.schema, self.bound).compiled(selected.condition), *self._within(selected)]
        inner = inner.where(both(conditions))
        if not needed:
            return inner
        outer = exp.select(*(exp.column(name) for name, _ in columns)).from_(inner.subquery("s"))
        return outer.where(both([is_there(exp.column(name)) for name in needed]))

    def _within(self, selected: Selected) -> list[Sql]:
        submitted = next(
            at(place) for place, column in enumerate(self.schema.columns) if column.name == "_submitted_at"
        )
        bounds: list[tuple[type[exp.Binary], str | None]] = [(exp.GTE, selected.since), (exp.LT, selected.until)]
        return [
            operation(kind, submitted, cast(self.bound(bound), "TIMESTAMPTZ"))
            for kind, bound in bounds
            if bound is not None
        ]

    def key(self, grouping: Grouping) -> Sql:
        """The key of a response, of several options the list of them; NULL when there is none."""
        slot, value = grouping.slot, at(grouping.slot.column)
        if grouping.width is not None:
            share = operation(exp.Div, cast(value, "DOUBLE"), self.bound(float(grouping.width)))
            return call("FLOOR", share)
        if grouping.edges:
            passed: Sql = exp.Literal.number(0)
            for edge in grouping.edges:
                reached = operation(exp.GTE, cast(value, "DOUBLE"), self.bound(float(edge)))
                passed = operation(exp.Add, passed, cast(reached, "INTEGER"))
            return when(is_there(value), exp.paren(passed))
        if grouping.bucket is not None:
            return self._bucket(grouping, value)
        if slot.kind == "matrix":
            return self._pairs(slot)
        if slot.other is not None:
            own = exp.Literal.string(OTHER)
            other = is_there(at(slot.other))
            if slot.kind == "several":
                known = call("COALESCE", value, cast(listed([]), "VARCHAR[]"))
                return when(other, call("LIST_APPEND", known, own), value)
            return when(both([exp.Is(this=value, expression=exp.null()), other]), own, value)
        return value

    def measured(self, slot: Slot) -> Sql:
        """The value of a response to measure."""
        value = at(slot.column)
        if slot.kind == "number":
            return cast(value, "DOUBLE")
        if slot.is_several or slot.other is not None:
            return self.key(Grouping(slot.name, slot))
        return value

    def _bucket(self, grouping: Grouping, value: Sql) -> Sql:
        unit = exp.Literal.string(grouping.bucket or "")
        if grouping.slot.kind == "date":
            return cast(call("DATE_TRUNC", unit, cast(value, "TIMESTAMP")), "DATE")
        zone = self.bound(grouping.zone)
        local = call("TIMEZONE", zone, value)
        begun = call("DATE_TRUNC", unit, local)
        if grouping.bucket == "hour":
            # The hour that comes twice is two buckets: it is counted back from the moment itself.
            return operation(exp.Sub, value, exp.paren(operation(exp.Sub, local, begun)))
        return call("TIMEZONE", zone, begun)

    def _pairs(self, slot: Slot) -> Sql:
        """The rows of a matrix with the columns chosen in them."""
        parts: list[Sql] = []
        for row, place in slot.rows:
            before = self.bound(f"{row}.")
            if slot.has_lists:
                name = exp.column("x")
                joined = exp.Lambda(this=call("CONCAT", before, name), expressions=[exp.to_identifier("x")], colon=True)
                empty = cast(listed([]), "VARCHAR[]")
                parts.append(call("COALESCE", call("LIST_TRANSFORM", at(place), joined), empty))
            else:
                chosen = listed([call("CONCAT", before, at(place))])
                parts.append(when(is_there(at(place)), chosen, cast(listed([]), "VARCHAR[]")))
        pairs = call("FLATTEN", listed(parts))
        return when(operation(exp.GT, call("LEN", pairs), exp.Literal.number(0)), pairs)


class _Compiler:
    def __init__(self, plan: Plan, schema: TableSchema) -> None:
        self._plan = plan
        self._scan = Scan(schema)
        self._keys = [f"d{place}" for place in range(len(plan.groupings))]
        self._figures = [f"m{place}" for place in range(len(plan.figures))]
        slots = {figure.slot.name: figure.slot for figure in plan.figures if figure.slot is not None}
        self._values = {name: f"f{place}" for place, name in enumerate(slots)}
        self._slots = slots

    def statement(self) -> Statement:
        plan, keys = self._plan, self._keys
        several = [key for key, each in zip(keys, plan.groupings, strict=True) if each.slot.is_several]
        is_twice = plan.top is not None and plan.others and bool(several)
        columns = [(key, self._scan.key(each)) for key, each in zip(keys, plan.groupings, strict=True)]
        columns += [(self._values[name], self._scan.measured(slot)) for name, slot in self._slots.items()]
        if is_twice:
            columns.append(("id", at(self._place_of_id())))
        if not columns:
            columns.append(("one", exp.Literal.number(1)))  # a row needs something in it
        needed = [key for key, each in zip(keys, plan.groupings, strict=True) if not each.unanswered]
        names = [name for name, _ in columns]
        parts: list[tuple[str, exp.Query]] = [("base", self._scan.rows(columns, plan.selected, needed))]
        for key in several:
            parts.append((f"each_{key}", self._exploded(parts[-1][0], key, names)))
        if plan.top is not None:
            parts.append(("best", self._best(parts[-1][0])))
            parts.append(("kept", self._kept(parts[-2][0], names, is_distinct=is_twice)))
        groups = self._groups(parts[-1][0], has_rest=plan.top is not None)
        parts.append(("groups", groups))
        query: exp.Query = self._answer()
        for name, part in parts:
            query = query.with_(name, part)
        return Statement(text_of(query), self._scan.bound.values)

    def _place_of_id(self) -> int:
        return next(place for place, column in enumerate(self._scan.schema.columns) if column.name == "_id")

    def _exploded(self, before: str, key: str, names: list[str]) -> exp.Select:
        """A row for each option that was chosen."""
        place = self._keys.index(key)
        options: Sql = exp.column(key)
        if self._plan.groupings[place].unanswered:
            options = call("COALESCE", options, listed([NULL]))
        columns = [exp.alias_(call("UNNEST", options), name) if name == key else exp.column(name) for name in names]
        return exp.select(*columns).from_(before)

    def _best(self, before: str) -> exp.Select:
        key = exp.column("d0")
        measured = self._figure(self._plan.figures[self._plan.by])
        by_value = exp.select(exp.alias_(key, "b"), exp.alias_(measured, "m")).from_(before).group_by(key)
        turn = over(call("ROW_NUMBER"), order=[ordered(exp.column("m"), descending=True), ordered(exp.column("b"))])
        return exp.select(exp.column("b"), exp.alias_(turn, "turn")).from_(by_value.subquery("v"))

    def _kept(self, before: str, names: list[str], *, is_distinct: bool) -> exp.Select:
        is_rest = operation(exp.GT, exp.column("turn"), exp.Literal.number(self._plan.top or 0))
        first = when(exp.Not(this=exp.paren(is_rest)), exp.column("d0"))
        columns = [exp.alias_(first, name) if name == "d0" else exp.column(name) for name in names]
        same = exp.NullSafeEQ(this=exp.column("d0"), expression=exp.column("b"))
        found = exp.select(exp.alias_(is_rest, "rest"), *columns).from_(before).join("best", on=same)
        if not self._plan.others:
            found = found.where(exp.Not(this=exp.paren(is_rest)))
        return found.distinct() if is_distinct else found

    def _groups(self, before: str, *, has_rest: bool) -> exp.Select:
        rest = exp.column("rest") if has_rest else FALSE
        keys = [exp.column(key) for key in self._keys]
        figures = [
            exp.alias_(self._figure(figure), name)
            for name, figure in zip(self._figures, self._plan.figures, strict=True)
        ]
        found = exp.select(exp.alias_(rest, "rest"), *keys, *figures).from_(before)
        if not keys:
            # Nobody is no group: the totals say that.
            return found.having(operation(exp.GT, counted(), exp.Literal.number(0)))
        return found.group_by(*([exp.column("rest")] if has_rest else []), *keys)

    def _answer(self) -> exp.Query:
        names = ["rest", *self._keys, *self._figures]
        turn = over(call("ROW_NUMBER"), order=self._order())
        numbered = exp.select(
            *(exp.column(name) for name in names), exp.alias_(turn, "place"), exp.alias_(over(counted()), "total")
        ).from_("groups")
        groups = exp.select(
            exp.alias_(exp.Literal.number(0), "part"), *(exp.column(name) for name in (*names, "place", "total"))
        ).from_(numbered.subquery("n"))
        last = exp.Literal.number(self._plan.limit)
        groups = groups.where(operation(exp.LTE, exp.column("place"), last))
        totals = exp.select(
            exp.Literal.number(1),
            FALSE,
            *(NULL for _ in self._keys),
            *(self._figure(figure) for figure in self._plan.figures),
            exp.Literal.number(0),
            counted(),
        ).from_("base")
        return exp.union(groups, totals, distinct=False)

    def _order(self) -> list[Sql]:
        asked = [
            ordered(exp.column(f"m{each.place}"), descending=each.descending)
            if each.of == "measure"
            else ordered(self._turn_of(each.place), descending=each.descending)
            for each in self._plan.order
        ]
        rest = [Order("dimension", place, False) for place in range(len(self._keys))]
        default = [ordered(term) for each in rest for term in (self._turn_of(each.place), exp.column(f"d{each.place}"))]
        return [ordered(exp.column("rest")), *asked, *default]

    def _turn_of(self, place: int) -> Sql:
        """What the keys of a dimension sort by: options stand as in the form."""
        slot, key = self._plan.groupings[place].slot, exp.column(f"d{place}")
        if not 0 < len(slot.labels) <= _MOST_ORDERED or self._plan.groupings[place].type != "option":
            return key
        known = listed([*(self._scan.bound(name) for name in slot.labels), exp.Literal.string(OTHER)])
        return call("LIST_POSITION", known, key)

    def _figure(self, figure: Figure) -> Sql:
        value: Sql = exp.column(self._values[figure.slot.name]) if figure.slot is not None else NULL
        match figure.op:
            case "count":
                return counted(None if figure.slot is None else value)
            case "count_distinct":
                return counted(value, distinct=True)
            case "sum" | "avg" | "min" | "max":
                return call(_OPERATION[figure.op], value)
            case "median" | "percentile":
                return call("QUANTILE_CONT", value, self._scan.bound(figure.percentile or 0.0))
            case "stdev":
                return spread("STDDEV_SAMP", value)
            case "share":
                return self._share(figure, value)
            case "nps":
                return _promoters(value)
        raise ValueError(f"{figure.op} is no measure")

    def _share(self, figure: Figure, value: Sql) -> Sql:
        if figure.slot is not None:
            part, whole = counted(value), counted()
        else:
            part, whole = counted(), exp.select(counted()).from_("base").subquery()
        return operation(exp.Div, cast(part, "DOUBLE"), call("NULLIF", whole, exp.Literal.number(0)))


def spread(aggregate: str, value: Sql) -> Sql:
    """A deviation or variance. Of numbers whose squares are no numbers any more there is none."""
    size = call("ABS", value)
    limit = cast(exp.Literal.string(repr(_LARGEST_SQUARED)), "DOUBLE")
    found = where(call(aggregate, value), operation(exp.LTE, size, limit))
    return when(operation(exp.LTE, call("MAX", size.copy()), limit.copy()), found)


def _promoters(value: Sql) -> Sql:
    promoters = where(counted(value), operation(exp.GTE, value.copy(), exp.Literal.number(9)))
    detractors = where(counted(value.copy()), operation(exp.LTE, value.copy(), exp.Literal.number(6)))
    difference = exp.paren(operation(exp.Sub, promoters, detractors))
    answered = call("NULLIF", counted(value.copy()), exp.Literal.number(0))
    return operation(exp.Div, operation(exp.Mul, exp.Literal.number(100), cast(difference, "DOUBLE")), answered)
