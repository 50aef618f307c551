"""Questions to a form's responses: measures by dimensions, cross-tabs, and questions that are kept."""

from datetime import datetime
from typing import Annotated, Any, Literal, Protocol, TypeAlias

from pydantic import Field, StringConstraints

from deployments.kit.contract import Contract, Page
from deployments.kit.principal import Principal

Name: TypeAlias = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,62}$")]
FieldName: TypeAlias = Annotated[str, StringConstraints(min_length=1, max_length=300)]
Op: TypeAlias = Literal[
    "count", "count_distinct", "sum", "avg", "min", "max", "median", "percentile", "stdev", "share", "nps"
]
Span: TypeAlias = Literal["hour", "day", "week", "month", "quarter", "year"]
Type: TypeAlias = Literal["option", "text", "number", "boolean", "date", "datetime", "bin"]
Value: TypeAlias = str | bool | int | float | None
Zone: TypeAlias = Annotated[str, StringConstraints(min_length=1, max_length=64)]
Language: TypeAlias = Annotated[str, StringConstraints(pattern=r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8}){0,4}$")]

MAX_ROWS = 10_000


class Measure(Contract):
    """One figure of each group. `count` without a field counts responses, with one those that answered it. `share` is
    the group's part of all responses counted, with a field the part of the group that answered it. `stdev` is of the
    sample, `nps` goes from -100 to 100, `percentile` interpolates."""

    name: Name
    op: Op
    field: FieldName | None = None
    p: float | None = Field(default=None, ge=0, le=100, description="Which percentile, for `percentile`.")


class Bins(Contract):
    """Ranges of a number, each with its lower bound and without its upper one: all of one width, counted from 0; or
    between edges, with one more below the first and above the last."""

    width: float | None = Field(default=None, gt=0, le=1e15)
    edges: list[Annotated[float, Field(ge=-1e15, le=1e15)]] | None = Field(default=None, min_length=1, max_length=100)


class Dimension(Contract):
    """What responses are grouped by: a field, or a time in buckets. Of several options each one that was chosen counts,
    so the groups share respondents."""

    field: FieldName | None = None
    time: FieldName | None = Field(default=None, description="`submitted_at`, or a field with a date.")
    bucket: Span | None = None
    timezone: Zone | None = Field(default=None, description="By default that of `time.zone`.")
    bins: Bins | None = None
    unanswered: bool = Field(default=False, description="Whether those without an answer are a group; else left out.")
    name: Name | None = Field(default=None, description="By default the name of the field.")


class TimeSpan(Contract):
    """From `since` up to, not including, `until`; a date begins at midnight in `zone`."""

    since: str | None = Field(default=None, max_length=40)
    until: str | None = Field(default=None, max_length=40)
    zone: Zone = "UTC"


class Top(Contract):
    """Only the `n` values of the first dimension with the most of the measure `by`; the rest as one group, or not."""

    n: int = Field(ge=1, le=1_000)
    by: Name
    others: bool = True


class Query(Contract):
    """What is asked. `filters` and `where` are those of the list of responses; see docs/reference/query.md."""

    form_id: str
    measures: list[Measure] = Field(min_length=1, max_length=20)
    dimensions: list[Dimension] = Field(default_factory=list, max_length=4)
    filters: dict[str, Any] = Field(default_factory=dict)
    where: str | None = None
    time: TimeSpan | None = None
    order_by: list[Annotated[str, StringConstraints(max_length=301)]] = Field(
        default_factory=list,
        max_length=8,
        description="Names of measures and dimensions, `-` for descending. Options are in the order of the form.",
    )
    limit: int = Field(default=1_000, ge=1, le=MAX_ROWS)
    top: Top | None = None
    language: Language | None = Field(default=None, description="Of titles and labels.")
    dry_run: bool = Field(default=False, description="Only the estimate and the shape of the SQL.")


class QueryColumn(Contract):
    """What stands in one place of every row."""

    name: str
    role: Literal["dimension", "measure"]
    type: Type
    label: str
    field: str | None
    op: Op | None = None


class Key(Contract):
    """The value of a dimension. Options are ids with their labels, `@other` is an answer in own words, a row of a
    matrix stands before its column (`food.good`). A bin is its lower bound and its `upper` one, null where it has
    none. `others`: what did not get among the top."""

    value: Value
    label: str | None = None
    upper: float | None = None
    others: bool = False


class QueryRow(Contract):
    """One group: a key for each dimension, a value for each measure, in the order of the columns."""

    keys: list[Key]
    values: list[Value]


class Source(Contract):
    """What was read: everything up to the form's change with this number is in it."""

    change: int
    as_of: datetime
    rows: int = Field(description="Responses of the form, before filters.")


class Estimate(Contract):
    """What a query costs, known before it runs. `groups` is the most there can be, null where answers decide that."""

    rows: int
    columns: int = Field(description="Dimensions and fields that are measured, one at least.")
    cells: int = Field(description="Rows times columns.")
    max_cells: int
    groups: int | None
    max_groups: int


class QueryAnswer(Contract):
    """Groups and their figures. `totals` are the measures of all responses counted, each once: those of several options
    do not add up to them."""

    form_id: str
    columns: list[QueryColumn]
    rows: list[QueryRow]
    totals: list[Value]
    respondents: int | None = Field(description="Responses that meet the filters and have every dimension.")
    groups: int | None = Field(description="Groups there are; more than rows when `truncated`.")
    truncated: bool
    source: Source
    estimate: Estimate
    sql: str | None = Field(default=None, description="The shape of the SQL, of a dry run: no name or value is in it.")


class AskCrosstab(Contract):
    """Which two fields. One of them may be a number: then its means are compared."""

    form_id: str
    row: FieldName
    column: FieldName
    filters: dict[str, Any] = Field(default_factory=dict)
    where: str | None = None
    time: TimeSpan | None = None
    language: Language | None = None


class CrosstabSide(Contract):
    """The values along one side; `several`: a respondent may be in more than one of them."""

    field: str
    label: str
    type: Type
    several: bool
    keys: list[Key] = Field(description="Empty of a number whose means are compared.")
    totals: list[int] = Field(description="Respondents of each value, each once.")


class CrosstabCell(Contract):
    """`residual` is the adjusted standardised one; beyond ±1.96 the cell `differs`: it has more or less than chance
    explains, in one of twenty cells by chance alone."""

    count: int
    row_share: float
    column_share: float
    total_share: float
    expected: float
    residual: float | None
    differs: Literal["more", "less"] | None


class Significance(Contract):
    """A test of whether two things have to do with each other. `p`: how often chance alone gives as much."""

    test: Literal["chi_square", "fisher", "anova", "kruskal"]
    statistic: float | None
    degrees: list[int] = Field(description="Degrees of freedom; two of `anova`, none of `fisher`.")
    p: float
    key: Key | None = Field(default=None, description="The option that was tested alone, chosen or not.")


class GroupFigures(Contract):
    """The numbers of those who gave one answer. `stdev` is of the sample."""

    key: Key
    count: int
    mean: float
    stdev: float | None
    minimum: float
    median: float
    maximum: float


class CrosstabWarning(Contract):
    """What to mind when reading it."""

    code: str
    detail: str


class Crosstab(Contract):
    """Two fields against each other, of those who answered both. `counts` has cells by rows and columns, `means` the
    figures of the number for each value of the other field."""

    form_id: str
    kind: Literal["counts", "means"]
    row: CrosstabSide
    column: CrosstabSide
    respondents: int
    cells: list[list[CrosstabCell]] = Field(default=[])
    groups: list[GroupFigures] = Field(default=[])
    tests: list[Significance]
    cramers_v: float | None = None
    warnings: list[CrosstabWarning]
    source: Source


Title: TypeAlias = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00]*\S[^\x00]*$")]


class SaveQuery(Contract):
    """A question to keep, under a name that no other of the tenant has."""

    name: Title
    description: Annotated[str, StringConstraints(max_length=2_000, pattern=r"^[^\x00]*$")] = ""
    query: Query


class ChangeQuery(Contract):
    """What is given is changed."""

    name: Title | None = None
    description: Annotated[str, StringConstraints(max_length=2_000, pattern=r"^[^\x00]*$")] | None = None
    query: Query | None = None


class SavedQuery(Contract):
    """A question that is kept; everybody in the tenant who may ask it sees it."""

    id: str
    name: str
    description: str
    form_id: str
    query: Query
    owner: str
    created_at: datetime
    updated_at: datetime


class QueriesApi(Protocol):
    """Questions to responses."""

    async def query(self, principal: Principal, query: Query) -> QueryAnswer:
        """The answer. Raises FormNotFound, Invalid, QueryTooExpensive, TooManyGroups, TableChanged, and what the
        warehouse refuses."""
        ...

    async def crosstab(self, principal: Principal, asked: AskCrosstab) -> Crosstab:
        """Two fields against each other. Raises as `query`."""
        ...

    async def save_query(self, principal: Principal, command: SaveQuery) -> SavedQuery:
        """Keep a question, once it can be answered. Raises QueryNameTaken, TooManyQueries, FormNotFound, Invalid."""
        ...

    async def list_queries(
        self, principal: Principal, form_id: str | None, cursor: str | None, limit: int
    ) -> Page[SavedQuery]:
        """Those about forms whose figures the caller may see, oldest first."""
        ...

    async def get_query(self, principal: Principal, query_id: str) -> SavedQuery:
        """Raises QueryNotFound."""
        ...

    async def change_query(self, principal: Principal, query_id: str, command: ChangeQuery) -> SavedQuery:
        """Raises QueryNotFound, QueryNameTaken, FormNotFound, Invalid."""
        ...

    async def delete_query(self, principal: Principal, query_id: str) -> None:
        """Raises QueryNotFound."""
        ...

    async def run_query(self, principal: Principal, query_id: str) -> QueryAnswer:
        """Its answer now, with the rights of the caller. Raises QueryNotFound, and as `query`."""
        ...
