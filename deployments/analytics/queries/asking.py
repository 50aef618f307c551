"""Asks the table of a form: reads the question, weighs it, has it run, reads the answer."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from db.session import Database
from deployments.analytics.queries.answering import answer_of, columns_of, source_of
from deployments.analytics.queries.costs import (
    MAX_GROUPS,
    SECONDS,
    estimate_of,
    require_cheap,
    too_many_groups,
)
from deployments.analytics.queries.errors import TableChanged
from deployments.analytics.queries.forms import QueriedForm, QueriedForms
from deployments.analytics.queries.reading import read_plan
from deployments.analytics.queries.slots import Slots
from deployments.analytics.queries.tables import Limits, Tables, TableSchema
from deployments.analytics.query_contracts import Query, QueryAnswer
from deployments.kit.errors import Fault, Invalid
from deployments.kit.filtering.fields import Fields
from deployments.kit.principal import Principal

READ: Final = "analytics:read"
READ_PERSONAL: Final = "responses:read_personal"

_TRIES: Final = 3


@dataclass(frozen=True, slots=True)
class Asked:
    """A form's table as somebody sees it."""

    schema: TableSchema
    slots: Slots
    fields: Fields


class Asking:
    """Answers questions from the tables of forms."""

    def __init__(self, database: Database, tables: Tables) -> None:
        self._database = database
        self._tables = tables
        self._forms = QueriedForms()

    async def answer(self, principal: Principal, query: Query) -> QueryAnswer:
        """The answer to a query. Raises as `QueriesApi.query`."""
        form, hidden = await self.form(principal, query.form_id)
        for _ in range(_TRIES):
            asked = await self.asked(principal, form, hidden, query.language)
            plan, faults = read_plan(query, asked.slots, asked.fields)
            if plan is None:
                raise Invalid(faults=tuple(faults))
            estimate = estimate_of(plan, asked.schema)
            statement = compiled(plan, asked.schema)
            if query.dry_run:
                return QueryAnswer(
                    form_id=query.form_id,
                    columns=columns_of(plan),
                    rows=[],
                    totals=[],
                    respondents=None,
                    groups=None,
                    truncated=False,
                    source=source_of(asked.schema),
                    estimate=estimate,
                    sql=statement.sql,
                )
            require_cheap(estimate)
            rows = await self.rows(principal, form.form_id, asked.schema, statement, plan.limit + 1)
            if rows is not None:
                found = answer_of(query, plan, asked.schema, estimate, rows)
                if (found.groups or 0) > MAX_GROUPS:
                    raise too_many_groups(found.groups or 0)
                return found
        raise TableChanged(retry_after=1.0)

    async def form(self, principal: Principal, form_id: str) -> tuple[QueriedForm, frozenset[str]]:
        """The form, and the fields of it that the caller may not see. Raises Forbidden, FormNotFound."""
        principal.require(READ, form_id)
        async with self._database.read(principal.tenant_id) as unit:
            form = await self._forms.get(unit, form_id)
        return form, frozenset() if principal.may(READ_PERSONAL, form_id) else form.personal

    async def asked(
        self, principal: Principal, form: QueriedForm, hidden: frozenset[str], language: str | None
    ) -> Asked:
        """The form's table as it is now."""
        schema = await self._tables.table(principal, form.form_id)
        if not principal.may(READ_PERSONAL, form.form_id):
            hidden |= {column.field for column in schema.columns if column.personal and column.field is not None}
        slots = Slots(form, schema, form.texts(language), hidden)
        return Asked(schema, slots, form.fields.for_reader(hidden))

    async def rows(
        self, principal: Principal, form_id: str, schema: TableSchema, statement: Any, most: int
    ) -> Sequence[Mapping[str, Any]] | None:
        """What the statement gives; None when the table has other columns by now, which it calls by their places."""
        found = await self._tables.run(principal, [form_id], statement.sql, statement.parameters, Limits(most, SECONDS))
        now = await self._tables.table(principal, form_id)
        if (now.view, now.columns) != (schema.view, schema.columns):
            return None
        rows: list[dict[str, Any]] = found.to_pylist()
        return rows


def compiled(plan: Any, schema: TableSchema, how: Callable[..., Any] | None = None) -> Any:
    """The statement of a plan, by `how` or as of a query. Raises Invalid when the table lacks what a filter needs."""
    # The library of SQL is loaded when the first question comes.
    from deployments.analytics.queries.compiling import compile_plan
    from deployments.analytics.queries.conditions import NotInTable

    try:
        return (how or compile_plan)(plan, schema)
    except NotInTable as error:
        detail = "Figures are of complete responses, and none of these is suspected: there is nothing to filter by."
        raise Invalid(faults=(Fault("/filters", "query.not_in_table", detail),)) from error
