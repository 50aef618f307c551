"""L3, L4: what models say of responses, in figures: types of what answers name, by which questions choose and group."""

from pathlib import Path
from typing import Any

import pyarrow.parquet as pq  # type: ignore[import-untyped]

from db.session import Database
from deployments.analytics.deployment import Analytics
from deployments.analytics.query_contracts import Query, QueryAnswer
from deployments.exports.lake_jobs import RenewDue
from deployments.responses.deployment import Responses
from tests.deployments.analytics.test_warehouse import Scene, attempt
from tests.deployments.inference.survey import FakeModels, enrich, make_survey, submit
from tests.factories import make_tenant

TYPES = "ai.comment.entities.types"


async def test_types_of_what_answers_name_choose_and_group(database: Database, tmp_path: Path) -> None:
    """As the list of responses chooses by them; also where the lake was written before there was a column of them."""
    acme = await make_tenant(database)
    form = await make_survey(database, acme)
    responses = Responses(database)
    for comment in ("bad, write to Ada@example.org", "fine", None, "ask eve@example.org"):
        await submit(responses, comment)
    await enrich(database, FakeModels())
    scene = Scene(database, tmp_path, acme, form.id)
    door = Analytics(database, scene.warehouse)

    async def ask(**wanted: Any) -> QueryAnswer:
        query = {"form_id": form.id, "measures": [{"name": "n", "op": "count"}], **wanted}
        return await door.query(acme, Query.model_validate(query))

    async def agrees() -> None:
        for filters, count in (
            ({"ai.comment.entities": {"any": ["email", "phone"]}}, 2),
            ({"ai.entities": {"all": ["email", "phone"]}}, 0),
            ({"ai.entities": {"nin": ["email"]}}, 2),
            ({"ai.entities": {"exists": False}}, 2),
            ({"ai.entities": {"any": ["email"]}, "ai.sentiment": "negative"}, 1),
        ):
            assert (await ask(filters=filters)).totals == [count], filters
        grouped = await ask(dimensions=[{"field": TYPES, "unanswered": True}])
        assert [(row.keys[0].value, row.values) for row in grouped.rows] == [("email", [2]), (None, [2])]

    search = RenewDue(database, is_on=True)
    try:
        await agrees()
        await scene.renew()
        await agrees()
        await scene.forget_columns(TYPES)
        await agrees()
        assert (await search.run(attempt("_platform", {}))).result == {"ordered": 1}
        await scene.renew()
        assert all(TYPES in pq.read_schema(path).names for path in await scene.files())
        assert (await search.run(attempt("_platform", {}))).result == {"ordered": 0}
        await agrees()
    finally:
        await door.close()
