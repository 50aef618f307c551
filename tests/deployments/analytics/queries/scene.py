"""A form with answers of every kind, its table, and what pandas says of them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pandas as pd  # type: ignore[import-untyped]

from db.session import Database
from db.settings import DatabaseSettings
from deployments.analytics.queries.asking import Asking
from deployments.analytics.queries.slots import OTHER
from deployments.analytics.query_contracts import Query, QueryAnswer
from deployments.kit.principal import Principal
from deployments.responses.deployment import Responses
from tests.deployments.analytics.queries.local_tables import LocalTables
from tests.deployments.responses.query import survey
from tests.factories import make_form, make_tenant

COUNT = 150


class Scene:
    """A form, who owns it, what was answered, and what answers questions about that."""

    def __init__(
        self, database: Database, acme: Principal, form_id: str, tables: LocalTables, known: survey.Given
    ) -> None:
        self.database = database
        self.acme = acme
        self.form_id = form_id
        self.tables = tables
        self.asking = Asking(database, tables)
        self.known = known
        self.frame = frame_of(known)

    async def ask(self, *, principal: Principal | None = None, **wanted: Any) -> QueryAnswer:
        query = {"measures": [{"name": "n", "op": "count"}], **wanted, "form_id": self.form_id}
        return await self.asking.answer(principal or self.acme, Query.model_validate(query))


@asynccontextmanager
async def open_scene(
    settings: DatabaseSettings, folder: Path, definition: dict[str, Any] | None = None, *, marked: bool = False
) -> AsyncIterator[Scene]:
    """The scene in a fresh database; `marked`: with reviews and the like, which takes longer."""
    async with Database(settings) as database:
        acme = await make_tenant(database)
        form = await make_form(database, acme, definition=definition or survey.SURVEY)
        responses = Responses(database)
        if definition is None:
            await survey.fill(responses, acme, form.id, COUNT, seed=7)
            if marked:
                await survey.mark(database, responses, acme, form.id, seed=4)
        tables = LocalTables(responses, acme, folder)
        known = await survey.given(responses, acme, form.id)
        yield Scene(database, acme, form.id, tables, known)
        tables.close()


def frame_of(known: survey.Given) -> Any:
    """The responses as pandas has them: the values of fields by name, of several options as lists."""
    rows = []
    for each in known.responses:
        row = {name: survey.value_of(each, name) for name in PLAIN}
        for name in ("one", "many"):
            given = each.answers.get(name)
            own = isinstance(given, dict) and "other" in given
            if name == "one":
                row["one"] = OTHER if own and row["one"] is None else row["one"]
            else:
                row["many"] = ([*(row["many"] or []), OTHER] if own else row["many"]) or None
        grid = each.answers.get("grid") or {}
        row["grid"] = [f"{line}.{column}" for line, column in grid.items()] or None
        cells = each.answers.get("cells") or {}
        row["cells"] = [f"{line}.{column}" for line, columns in cells.items() for column in columns] or None
        rows.append({"id": each.id, **row})
    return pd.DataFrame(rows)


PLAIN = (
    *("name", "amount", "score", "day", "fine", "one", "many", "rank.q", "grid.r1", "cells.r1", "land", "home.city"),
    *("spot.latitude", "twice", "submitted_at", "version", "review", "language", "tags"),
)
SEVERAL = ("many", "grid", "cells", "cells.r1", "tags")
