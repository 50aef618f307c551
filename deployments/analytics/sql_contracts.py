"""Tables of forms, and statements of SQL on them."""

from typing import Any, Final, Literal, Protocol, TypeAlias

from pydantic import Field

from deployments.kit.contract import Contract, Page
from deployments.kit.principal import Principal

LONGEST: Final = 65_536
"""Characters of a statement."""

SqlFormat: TypeAlias = Literal["json", "csv", "arrow"]
Value: TypeAlias = str | int | float | bool | None


class TableColumn(Contract):
    """A column, which keeps its name and meaning over all versions of the form."""

    name: str = Field(description="As statements call it, in quotes where it is no plain word.")
    type: str = Field(description="Its type in DuckDB's SQL.")
    title: str
    field: str | None = Field(description="The field whose answers it holds; null for what is told of the response.")
    personal: bool


class TableSchema(Contract):
    """A form's table. Statements call it by the form's id or by its slug, which needs quotes if it has a hyphen."""

    form_id: str
    slug: str
    title: str
    view: str = Field(description="The name that never changes: the form's id.")
    columns: list[TableColumn]


class RunSql(Contract):
    """One query, with values for its parameters: a list for `?` and `$1`, an object for `$name`."""

    sql: str = Field(min_length=1, max_length=LONGEST)
    parameters: list[Value] | dict[str, Value] = Field(default=[], max_length=1_000)
    max_rows: int | None = Field(
        default=None, ge=1, description="Most rows of the answer; the platform's limit without."
    )


class SqlColumn(Contract):
    """A column of an answer, and its type in DuckDB's SQL."""

    name: str
    type: str


class SqlResult(Contract):
    """The rows of an answer. `truncated`: there were more, by the limits of rows or of bytes."""

    columns: list[SqlColumn]
    rows: list[list[Any]] = Field(description="Values in the order of the columns; times are RFC 3339 in UTC.")
    truncated: bool
    milliseconds: int


class SqlAnswer(Contract):
    """An answer in one of the formats; JSON as `SqlResult` says."""

    content: bytes
    truncated: bool
    milliseconds: int


class SqlApi(Protocol):
    """Tables and statements."""

    async def list_tables(self, principal: Principal, cursor: str | None, limit: int) -> Page[TableSchema]:
        """The tables that the reader gets to see, by the ids of their forms. Raises Invalid for another's cursor."""
        ...

    async def run_sql(self, principal: Principal, command: RunSql, form: SqlFormat) -> SqlAnswer:
        """What a statement answers now: it sees what is committed when it is asked. Raises FeatureDisabled,
        StatementRefused with every reason, StatementTooLong, TableBehind, TooManyStatements, WarehouseBusy."""
        ...
