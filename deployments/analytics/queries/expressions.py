"""SQL as trees: columns by their place, values as parameters. Nothing that a user has written gets into the text."""

from collections.abc import Sequence
from functools import reduce
from typing import Any, Final, TypeAlias

from sqlglot import exp

from deployments.analytics.queries.tables import TableSchema

Sql: TypeAlias = exp.Expr

FALSE: Final[Sql] = exp.false()
NULL: Final[Sql] = exp.null()
_TRUE: Final[Sql] = exp.true()


class Parameters:
    """The values of a statement, in the order of their numbers."""

    def __init__(self) -> None:
        self.values: list[Any] = []

    def __call__(self, value: str | float | bool) -> Sql:
        """A place for the value; the same value has one place."""
        for number, known in enumerate(self.values, 1):
            if type(known) is type(value) and known == value:
                return _parameter(number)
        self.values.append(value)
        return _parameter(len(self.values))


def _parameter(number: int) -> Sql:
    return exp.Parameter(this=exp.Literal.number(number))


def source(schema: TableSchema) -> exp.Table:
    """The table with its columns called by their places: DuckDB takes names that differ in case only for one."""
    names = [exp.to_identifier(f"c{place}") for place in range(len(schema.columns))]
    alias = exp.TableAlias(this=exp.to_identifier("t"), columns=names)
    return exp.Table(this=exp.to_identifier(schema.view, quoted=True), alias=alias)


def at(place: int) -> Sql:
    """The column at a place."""
    return exp.column(f"c{place}")


def call(name: str, *arguments: Sql) -> Sql:
    """A function of DuckDB."""
    return exp.Anonymous(this=name, expressions=list(arguments))


def each(variable: str, body: Sql) -> Sql:
    """A function of one argument."""
    name = exp.to_identifier(variable)
    return exp.Lambda(this=body, expressions=[name], colon=True)


def cast(value: Sql, kind: str, *, strict: bool = True) -> Sql:
    """The value as another type; when it cannot be one an error, or NULL."""
    made: type[exp.Cast] = exp.Cast if strict else exp.TryCast
    return made(this=value, to=exp.DataType.build(kind, dialect="duckdb"))


def is_there(value: Sql) -> Sql:
    """It is not NULL."""
    return exp.Not(this=exp.Is(this=value, expression=exp.null()))


def both(parts: Sequence[Sql]) -> Sql:
    """All of them hold."""
    return reduce(lambda left, right: operation(exp.And, left, exp.paren(right)), parts, _TRUE)


def either(parts: Sequence[Sql]) -> Sql:
    """One of them holds."""
    return exp.paren(reduce(lambda left, right: operation(exp.Or, left, exp.paren(right)), parts, FALSE))


def no(part: Sql) -> Sql:
    """It does not hold."""
    return exp.Not(this=exp.paren(part))


def surely(part: Sql) -> Sql:
    """It holds and is not NULL."""
    return call("COALESCE", part, exp.false())


def when(condition: Sql, value: Sql, otherwise: Sql | None = None) -> Sql:
    """A value if it holds, else another or NULL."""
    return exp.Case(ifs=[exp.If(this=condition, true=value)], default=otherwise)


def listed(items: Sequence[Sql]) -> Sql:
    """A list."""
    return exp.Array(expressions=list(items))


def operation(kind: type[exp.Binary], left: Sql, right: Sql) -> Sql:
    """Two values and what stands between them."""
    return kind(this=left, expression=right)


def counted(value: Sql | None = None, *, distinct: bool = False) -> Sql:
    """How many rows there are, or how many have a value."""
    if value is None:
        return exp.Count(this=exp.Star())
    return exp.Count(this=exp.Distinct(expressions=[value]) if distinct else value)


def where(aggregate: Sql, condition: Sql) -> Sql:
    """An aggregate of the rows for which it holds."""
    return exp.Filter(this=aggregate, expression=exp.Where(this=condition))


def over(function: Sql, *, order: Sequence[Sql] = (), partition: Sequence[Sql] = ()) -> Sql:
    """A function of a window."""
    return exp.Window(
        this=function,
        partition_by=list(partition),
        order=exp.Order(expressions=list(order)) if order else None,
    )


def ordered(value: Sql, *, descending: bool = False) -> Sql:
    """What to sort by; what has no value comes last."""
    return exp.Ordered(this=value, desc=descending, nulls_first=False)


def text_of(statement: exp.Query) -> str:
    """The statement as DuckDB reads it."""
    return statement.sql(dialect="duckdb")
