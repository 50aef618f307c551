"""R4: filters and words are looked up in an index of the database, on both dialects: nobody reads every response."""

import re
from typing import Any

from sqlalchemy import Connection, event, text

from benchmarks.databases import analyze
from db.repositories.response_query import Order, ResponseQueryRepository
from db.session import Database
from deployments.responses.contracts import Selection
from deployments.responses.deployment import Responses
from deployments.responses.query.forms import SearchedForms
from deployments.responses.query.indexing import AnswerIndexer
from deployments.responses.query.listing import search_of
from tests.deployments.responses.query import survey
from tests.factories import make_form, make_tenant

ASKED: list[dict[str, Any]] = [
    {"filter": {"name": {"eq": "Ada"}}},
    {"filter": {"amount": {"between": [0, 1]}}},
    {"filter": {"many": {"any": ["corn"]}}},
    {"filter": {"guests.age": {"lt": 18}}},
    {"where": "day >= '2024-03-01' and fine = true"},
    {"q": "running"},
    {"q": "hous*", "filter": {"score": {"gte": 9}}},
]
# SQLite says what it compares in brackets, PostgreSQL in a line of its own.
LOOKED_UP = re.compile(r"SEARCH answer_entry USING PRIMARY KEY \(tenant_id=\? AND series=\?|Index Cond: .*\bseries = ")
READ_WHOLE = re.compile(r"Seq Scan on (response|answer_entry)\b|SCAN (response|answer_entry)\b")


async def test_filters_and_words_are_looked_up(database: Database) -> None:
    acme = await make_tenant(database)
    made = await make_form(database, acme, definition=survey.SURVEY)
    await survey.fill(Responses(database), acme, made.id, 200, seed=8)
    while await AnswerIndexer(database, at_least=1, rest=False).round():
        pass
    await analyze(database.settings)
    for asked in ASKED:
        plans = await _plans(database, acme.tenant_id, made.id, Selection(**asked))
        assert any(LOOKED_UP.search(plan) for plan in plans), (asked, plans)
        assert not any(READ_WHOLE.search(plan) for plan in plans), (asked, plans)


async def _plans(database: Database, tenant_id: str, form_id: str, selection: Selection) -> list[str]:
    """How the database goes about each statement of a page and its count."""
    async with database.snapshot(tenant_id) as unit:
        form = await SearchedForms().get(unit, form_id)
        search = search_of(form, selection, ())
        repository = ResponseQueryRepository(unit.connection, unit.tenant, form_id, form.rules)
        connection = unit.connection
        if not database.is_sqlite:
            # So few rows are read from end to end wherever that is possible; here it is to be seen whether it is.
            await connection.execute(text("SET LOCAL enable_seqscan = off"))
        seen: list[tuple[str, Any]] = []

        def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
            seen.append((statement, parameters))

        def explained(plain: Connection) -> list[str]:
            event.remove(plain, "before_cursor_execute", note)
            explain = "EXPLAIN QUERY PLAN " if database.is_sqlite else "EXPLAIN "
            return [
                "\n".join(str(row) for row in plain.exec_driver_sql(explain + statement, parameters))
                for statement, parameters in seen
            ]

        await connection.run_sync(lambda plain: event.listen(plain, "before_cursor_execute", note))
        await repository.page(search, Order(), None, 20, ("id", "submitted_at"))
        await repository.count(search)
        return await connection.run_sync(explained)
