"""L3: queries are kept under a name, shared in the tenant, and asked with the rights of who asks."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from db.session import Database
from deployments.analytics.errors import FormNotFound
from deployments.analytics.queries import saved
from deployments.analytics.queries.asking import Asking
from deployments.analytics.queries.errors import QueryNameTaken, QueryNotFound, TableChanged, TooManyQueries
from deployments.analytics.queries.tables import Limits, Tables, TableSchema
from deployments.analytics.query_contracts import ChangeQuery, Query, SaveQuery
from deployments.analytics.querying import Querying
from deployments.kit.errors import Forbidden, Invalid
from deployments.kit.principal import Principal
from deployments.responses.contracts import ImportRow
from deployments.responses.deployment import Responses
from tests.deployments.analytics.queries.local_tables import LocalTables
from tests.factories import make_form, make_tenant

PARTY = {
    "pages": [
        {
            "id": "p1",
            "elements": [
                {"id": "score", "type": "nps", "title": "Score"},
                {"id": "income", "type": "integer", "title": "Income", "personal": True},
            ],
        }
    ],
    "languages": ["en"],
}


class Door(Querying):
    """The part of the context that is tried here."""

    def __init__(self, database: Database, tables: Tables) -> None:
        self._database = database
        self._asking = Asking(database, tables)


class AwayTables:
    """Tables that cannot be read now."""

    async def table(self, principal: Principal, form_id: str) -> TableSchema:
        raise TableChanged(retry_after=1.0)

    async def run(
        self, principal: Principal, form_ids: Sequence[str], sql: str, parameters: Sequence[Any], limits: Limits
    ) -> Any:
        raise TableChanged(retry_after=1.0)


def asked(form_id: str, field: str = "score") -> Query:
    return Query.model_validate({"form_id": form_id, "measures": [{"name": "m", "op": "avg", "field": field}]})


async def test_a_tenant_keeps_so_many(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(saved, "MAX_QUERIES", 2)
    acme = await make_tenant(database)
    form = await make_form(database, acme, definition=PARTY)
    door = Door(database, AwayTables())
    kept = [await door.save_query(acme, SaveQuery(name=name, query=asked(form.id))) for name in ("one", "two")]
    with pytest.raises(TooManyQueries):
        await door.save_query(acme, SaveQuery(name="three", query=asked(form.id)))
    await door.delete_query(acme, kept[0].id)
    await door.save_query(acme, SaveQuery(name="three", query=asked(form.id)))


async def test_queries_are_kept_shared_and_asked_again(database: Database, tmp_path: Path) -> None:
    acme = await make_tenant(database)
    form, other = [await make_form(database, acme, slug=slug, definition=PARTY) for slug in ("one", "two")]
    responses = Responses(database)
    await responses.import_rows(acme, form.id, [ImportRow(key="1", line=1, answers={"score": 9, "income": 100})])
    tables = LocalTables(responses, acme, tmp_path)
    # While nothing can be read, they are kept all the same.
    later = await Door(database, AwayTables()).save_query(acme, SaveQuery(name="Unasked", query=asked(other.id)))
    await Door(database, AwayTables()).delete_query(acme, later.id)
    analytics = Door(database, tables)
    with pytest.raises(Invalid):
        await analytics.save_query(acme, SaveQuery(name="Wrong", query=asked(form.id, "nothing")))
    kept = await analytics.save_query(acme, SaveQuery(name="Income", query=asked(form.id, "income")))
    assert (kept.owner, kept.form_id, kept.query) == (acme.subject, form.id, asked(form.id, "income"))
    with pytest.raises(QueryNameTaken):
        await analytics.save_query(acme, SaveQuery(name="Income", query=asked(other.id)))
    second = await analytics.save_query(acme, SaveQuery(name="Score", query=asked(other.id)))
    assert (await analytics.run_query(acme, kept.id)).totals == [100.0]

    viewer = Principal("acme", "usr_2", "user", scopes=frozenset({"analytics:read"}))
    assert await analytics.get_query(viewer, kept.id) == kept
    with pytest.raises(Invalid):
        await analytics.run_query(viewer, kept.id)  # what is personal is unknown to them
    with pytest.raises(Forbidden):
        await analytics.delete_query(viewer, kept.id)
    with pytest.raises(QueryNameTaken):
        await analytics.change_query(acme, second.id, ChangeQuery(name="Income"))
    changed = await analytics.change_query(acme, kept.id, ChangeQuery(query=asked(form.id), description="Mean"))
    assert (changed.name, changed.description, changed.created_at) == ("Income", "Mean", kept.created_at)
    assert (await analytics.run_query(viewer, kept.id)).totals == [9.0]

    first = await analytics.list_queries(viewer, None, None, 1)
    rest = await analytics.list_queries(viewer, None, first.meta.next_cursor, 1)
    assert [each.id for each in (*first.data, *rest.data)] == [kept.id, second.id]
    assert [each.id for each in (await analytics.list_queries(viewer, other.id, None, 9)).data] == [second.id]
    granted = Principal("acme", "usr_3", "user", grants={other.id: frozenset({"analytics:read"})})
    assert [each.id for each in (await analytics.list_queries(granted, None, None, 9)).data] == [second.id]
    with pytest.raises(QueryNotFound):
        await analytics.get_query(granted, kept.id)
    stranger = Principal("other", "usr_4", "user", scopes=frozenset({"*"}))
    with pytest.raises(QueryNotFound):
        await analytics.run_query(stranger, kept.id)
    with pytest.raises(FormNotFound):
        await analytics.save_query(stranger, SaveQuery(name="Mine", query=asked(form.id)))

    await analytics.delete_query(acme, kept.id)
    with pytest.raises(QueryNotFound):
        await analytics.get_query(acme, kept.id)
    tables.close()
