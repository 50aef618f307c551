"""Statements at the door of analytics: who may ask, what is written down, how an answer looks."""

import time
from typing import Final

import orjson

from db.session import Database
from deployments.analytics.sql_contracts import RunSql, SqlAnswer, SqlFormat, TableSchema
from deployments.analytics.warehouse.warehouse import Answer, Limits, Warehouse
from deployments.kit.audit import audit
from deployments.kit.contract import Page, PageMeta
from deployments.kit.features import require_feature, settings_of
from deployments.kit.pagination import decode_cursor, encode_cursor
from deployments.kit.principal import Principal

_BINDING: Final = "analytics.tables"
_AUDITED: Final = 4_000
"""Characters of a statement that the audit trail keeps."""


class Sql:
    """The part of analytics that answers SQL; satisfies `SqlApi`."""

    _database: Database
    _warehouse: Warehouse

    async def list_tables(self, principal: Principal, cursor: str | None, limit: int) -> Page[TableSchema]:
        principal.require("analytics:read")
        after = "" if cursor is None else decode_cursor(cursor, _BINDING, 1)[0]
        found = await self._warehouse.tables(principal, after, limit + 1)
        next_cursor = encode_cursor(_BINDING, [found[limit - 1].form_id]) if len(found) > limit else None
        return Page[TableSchema](data=found[:limit], meta=PageMeta(limit=limit, next_cursor=next_cursor, total=None))

    async def run_sql(self, principal: Principal, command: RunSql, form: SqlFormat) -> SqlAnswer:
        principal.require("analytics:write")
        began = time.monotonic()
        async with self._database.write(principal.tenant_id) as unit:
            require_feature(await settings_of(unit), "analytics_sql")
            # Before it runs: what comes to a bad end is written down, too.
            audit(unit, principal, "analytics.sql", unit.tenant, sql=command.sql[:_AUDITED])
        limits = Limits(rows=command.max_rows)
        answer = await self._warehouse.ask(principal, command.sql, command.parameters, limits, form)
        milliseconds = round((time.monotonic() - began) * 1_000)
        content = _document(answer, milliseconds) if form == "json" else answer.content
        return SqlAnswer(content=content, truncated=answer.truncated, milliseconds=milliseconds)


def _document(answer: Answer, milliseconds: int) -> bytes:
    """The rows are JSON already."""
    columns = [{"name": name, "type": kind} for name, kind in answer.columns]
    return orjson.dumps(
        {
            "columns": columns,
            "rows": orjson.Fragment(answer.content),
            "truncated": answer.truncated,
            "milliseconds": milliseconds,
        }
    )
