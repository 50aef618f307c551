"""The door to questions: queries, cross-tabs, and queries that are kept."""

from contextlib import suppress

from db.session import Database
from deployments.analytics.queries import saved
from deployments.analytics.queries.asking import READ, Asking
from deployments.analytics.queries.crosstabs import crosstab
from deployments.analytics.query_contracts import (
    AskCrosstab,
    ChangeQuery,
    Crosstab,
    Query,
    QueryAnswer,
    SavedQuery,
    SaveQuery,
)
from deployments.analytics.remembering import RememberedFigures
from deployments.kit.contract import Page
from deployments.kit.errors import Unavailable
from deployments.kit.principal import Principal


class Querying:
    """Answers questions; the part of `Analytics` that satisfies `QueriesApi`."""

    _database: Database
    _asking: Asking
    _remembered: RememberedFigures | None = None

    async def query(self, principal: Principal, query: Query) -> QueryAnswer:
        principal.require(READ, query.form_id)

        async def ask() -> QueryAnswer:
            return await self._asking.answer(principal, query)

        kept = self._remembered
        return await (ask() if kept is None else kept.answer(principal, query, ask))

    async def crosstab(self, principal: Principal, asked: AskCrosstab) -> Crosstab:
        principal.require(READ, asked.form_id)

        async def ask() -> Crosstab:
            return await crosstab(self._asking, principal, asked)

        kept = self._remembered
        return await (ask() if kept is None else kept.crosstab(principal, asked, ask))

    async def save_query(self, principal: Principal, command: SaveQuery) -> SavedQuery:
        principal.require(saved.WRITE, command.query.form_id)
        await self._require_right(principal, command.query)
        async with self._database.write(principal.tenant_id) as unit:
            return await saved.create(unit, principal, command)

    async def list_queries(
        self, principal: Principal, form_id: str | None, cursor: str | None, limit: int
    ) -> Page[SavedQuery]:
        async with self._database.read(principal.tenant_id) as unit:
            return await saved.page(unit, principal, form_id, cursor, limit)

    async def get_query(self, principal: Principal, query_id: str) -> SavedQuery:
        async with self._database.read(principal.tenant_id) as unit:
            return await saved.get(unit, principal, query_id)

    async def change_query(self, principal: Principal, query_id: str, command: ChangeQuery) -> SavedQuery:
        if command.query is not None:
            async with self._database.read(principal.tenant_id) as unit:
                await saved.get(unit, principal, query_id)
            principal.require(saved.WRITE, command.query.form_id)
            await self._require_right(principal, command.query)
        async with self._database.write(principal.tenant_id) as unit:
            return await saved.change(unit, principal, query_id, command)

    async def delete_query(self, principal: Principal, query_id: str) -> None:
        async with self._database.write(principal.tenant_id) as unit:
            await saved.delete(unit, principal, query_id)

    async def run_query(self, principal: Principal, query_id: str) -> QueryAnswer:
        async with self._database.read(principal.tenant_id) as unit:
            kept = await saved.get(unit, principal, query_id)
        return await self.query(principal, kept.query)

    async def _require_right(self, principal: Principal, query: Query) -> None:
        """What is wrong with a question is told when it is kept; while nothing can be read, when it is asked."""
        with suppress(Unavailable):
            await self._asking.answer(principal, query.model_copy(update={"dry_run": True}))
