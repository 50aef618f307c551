"""Tables of forms, and statements on them: complete responses as they are when a statement is asked."""

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from db.repositories.published_forms import FormName, PublishedFormRepository
from db.session import Database
from deployments.analytics.sql_contracts import SqlFormat, TableSchema
from deployments.analytics.warehouse.copies import COLUMNS, Copy, Table, rows_of
from deployments.analytics.warehouse.errors import (
    StatementRefused,
    StatementTooLong,
    TableNotFound,
    TableTooLarge,
)
from deployments.analytics.warehouse.folder import Folder
from deployments.analytics.warehouse.pool import Pool
from deployments.analytics.warehouse.process import Process, ProcessGone
from deployments.analytics.warehouse.schema import columns_of
from deployments.analytics.warehouse.settings import WarehouseSettings
from deployments.analytics.warehouse.statement import place_of
from deployments.kit.errors import Fault, NotFound
from deployments.kit.objects import ObjectStore
from deployments.kit.principal import Principal
from deployments.responses.contracts import ResponsesApi

READ: Final = "analytics:read"
READ_RESPONSES: Final = "responses:read"
READ_PERSONAL: Final = "responses:read_personal"

Parameters: TypeAlias = Sequence[Any] | Mapping[str, Any]

_BEYOND_ALL: Final = (1 << 63) - 1
"""No change has this number."""
_IDLE_S: Final = 300.0
_SWEEP_S: Final = 60.0
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Limits:
    """What an answer may be at most: rows, bytes as Arrow holds them, seconds. None: as the settings have it."""

    rows: int | None = None
    bytes: int | None = None
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """What a statement answers: its columns by name and SQL type, and the rows in the format that was asked for.
    `truncated`: there were more rows."""

    columns: tuple[tuple[str, str], ...]
    content: bytes
    rows: int
    truncated: bool


@dataclass(slots=True)
class _Kept:
    copy: Copy
    used_at: float


class Warehouse:
    """The tables of all forms. Local copies are kept while there is room; statements run in processes of their own."""

    def __init__(
        self,
        database: Database,
        objects: ObjectStore,
        responses: ResponsesApi,
        settings: WarehouseSettings | None = None,
    ) -> None:
        self._database = database
        self._objects = objects
        self._responses = responses
        self.settings = settings or WarehouseSettings()
        self._pool = Pool(self.settings)
        self._folder = Folder(self.settings.folder)
        self._copies: OrderedDict[tuple[str, str], _Kept] = OrderedDict()
        self._sweeper: asyncio.Task[None] | None = None
        self._is_network_told = False

    async def table(self, principal: Principal, form_id: str) -> TableSchema:
        """The columns of a form's table for a reader: without the personal ones when they are not for them.

        Raises Forbidden, TableNotFound.
        """
        principal.require(READ, form_id)
        found = await self._names(principal.tenant_id, [form_id])
        if not found or found[0].form_id != form_id:
            raise TableNotFound
        return await self._schema(principal, found[0])

    async def tables(self, principal: Principal, after: str, limit: int) -> list[TableSchema]:
        """The next tables that a reader gets to see, by the ids of their forms."""
        found: list[TableSchema] = []
        while len(found) < limit:
            async with self._database.read(principal.tenant_id) as unit:
                page = await PublishedFormRepository(unit.session, unit.tenant).names(after=after, limit=limit)
            seen = [name for name in page if principal.may(READ, name.form_id)][: limit - len(found)]
            with suppress(TableNotFound):  # it went to the trash a moment ago
                found += [await self._schema(principal, name) for name in seen]
            if len(page) < limit:
                break
            after = page[-1].form_id
        return found

    async def run(
        self,
        principal: Principal,
        form_ids: Collection[str],
        sql: str,
        parameters: Parameters = (),
        limits: Limits | None = None,
    ) -> Any:
        """The rows, as a `pyarrow.Table`, of a statement made by the platform, which calls the tables of these forms by
        their ids. It is as confined as anybody's. Rows beyond the limits are left out.

        Raises Forbidden, TableNotFound, TableBehind, StatementRefused, StatementTooLong, TooManyStatements,
        WarehouseBusy.
        """
        for form_id in form_ids:
            principal.require(READ, form_id)
        views = {form_id.lower(): form_id for form_id in form_ids}
        async with self._pool.borrowed(principal.tenant_id) as process:
            answer = await self._answer(process, principal, views, sql, parameters, limits or Limits(), "arrow")
        return await asyncio.to_thread(_table, answer.content)

    async def ask(
        self, principal: Principal, sql: str, parameters: Parameters, limits: Limits, form: SqlFormat
    ) -> Answer:
        """What anybody's statement answers, which calls tables by ids or slugs of forms. Raises as `run` does; where a
        name is no table of the reader's, every such name is told."""
        async with self._pool.borrowed(principal.tenant_id) as process:
            said, _ = await self._ask(process, {"do": "read", "sql": sql}, self.settings.seconds)
            views = await self._views(principal, sql, said["tables"])
            return await self._answer(process, principal, views, sql, parameters, limits, form)

    async def close(self) -> None:
        """End the processes, and remove the copies."""
        if self._sweeper is not None:
            self._sweeper.cancel()
            await asyncio.gather(self._sweeper, return_exceptions=True)
        await self._pool.rest()
        await asyncio.to_thread(self._folder.remove)

    # Statements.

    async def _answer(
        self,
        process: Process,
        principal: Principal,
        views: Mapping[str, str],
        sql: str,
        parameters: Parameters,
        limits: Limits,
        form: SqlFormat,
    ) -> Answer:
        own, tenant_id = self.settings, principal.tenant_id
        ends_at = time.monotonic() + min(limits.seconds or own.seconds, own.seconds)
        async with AsyncExitStack() as stack:
            tables = {
                form_id: await stack.enter_async_context(self._reading(tenant_id, form_id, ends_at - time.monotonic()))
                for form_id in sorted(set(views.values()))
            }
            question = {
                "do": "run",
                "views": {
                    name: tables[form_id].view(sees_personal=principal.may(READ_PERSONAL, form_id))
                    for name, form_id in views.items()
                },
                "paths": [path for table in tables.values() for path in table.paths],
                "sql": sql,
                "parameters": dict(parameters) if isinstance(parameters, Mapping) else list(parameters),
                "max_rows": min(limits.rows or own.rows, own.rows),
                "max_bytes": min(limits.bytes or own.bytes, own.bytes),
                "format": form,
            }
            said, content = await self._ask(process, question, ends_at - time.monotonic())
        columns = tuple((column["name"], column["type"]) for column in said["columns"])
        return Answer(columns, content, said["rows"], said["truncated"])

    async def _ask(self, process: Process, question: dict[str, Any], within_s: float) -> tuple[dict[str, Any], bytes]:
        self._begin_sweeping()
        try:
            async with asyncio.timeout(max(within_s, 0.1)):
                said, content = await process.ask(question)
        except TimeoutError:
            raise StatementTooLong("The statement took too long; ask for less at once.") from None
        except ProcessGone:
            fault = _fault("sql.memory", "The statement needs more memory than it gets.", None, None)
            raise StatementRefused(fault.detail, faults=(fault,)) from None
        self._tell_network(process)
        refused = said.get("refused")
        if refused is None:
            return said, content
        if refused.get("is_spent"):
            await asyncio.shield(process.stop())
        if refused.get("internal"):
            _log.warning("A statement failed: %s", refused["internal"])
        fault = _fault(refused["code"], refused["detail"], refused.get("line"), refused.get("column"))
        raise StatementRefused(fault.detail, faults=(fault,))

    def _tell_network(self, process: Process) -> None:
        """Say once that a layer of the sandbox is not there."""
        if not process.is_offline and not self._is_network_told:
            self._is_network_told = True
            _log.warning("Statements run without a network namespace, which the kernel refuses")

    async def _views(self, principal: Principal, sql: str, called: Sequence[str]) -> dict[str, str]:
        """The ids of the forms whose tables are called so. Raises StatementRefused with every other name."""
        found = await self._names(principal.tenant_id, called)
        known = {name.slug: name.form_id for name in found} | {name.form_id.lower(): name.form_id for name in found}
        views = {
            name: known[name]
            for name in called
            if name in known and principal.may(READ, known[name]) and principal.may(READ_RESPONSES, known[name])
        }
        faults = tuple(
            _fault("sql.unknown_table", f"There is no table {name!r}.", *place_of(sql, name))
            for name in called
            if name not in views
        )
        if faults:
            raise StatementRefused(faults[0].detail, faults=faults)
        return views

    # Tables.

    async def _schema(self, principal: Principal, name: FormName) -> TableSchema:
        reader = Principal.system(principal.tenant_id, "warehouse")
        try:
            nothing = await self._responses.changed_rows(reader, name.form_id, _BEYOND_ALL, COLUMNS, 1)
        except NotFound:
            raise TableNotFound from None
        schema = (await asyncio.to_thread(rows_of, nothing)).schema
        sees_personal = principal.may(READ_PERSONAL, name.form_id)
        columns = [each for each in columns_of(schema, nothing.personal) if sees_personal or not each.personal]
        return TableSchema(form_id=name.form_id, slug=name.slug, title=name.title, view=name.form_id, columns=columns)

    async def _names(self, tenant_id: str, called: Collection[str]) -> Sequence[FormName]:
        if not called:
            return []
        async with self._database.read(tenant_id) as unit:
            return await PublishedFormRepository(unit.session, unit.tenant).named(called)

    @asynccontextmanager
    async def _reading(self, tenant_id: str, form_id: str, within_s: float | None = None) -> AsyncIterator[Table]:
        self._begin_sweeping()
        key = (tenant_id, form_id)
        kept = self._copies.get(key)
        if kept is None:
            folder = await asyncio.to_thread(self._folder.path, tenant_id, form_id)
            copy = Copy(tenant_id, form_id, folder, self._database, self._objects, self._responses)
            kept = self._copies.setdefault(key, _Kept(copy, 0.0))
        kept.used_at = time.monotonic()
        self._copies.move_to_end(key)
        try:
            async with kept.copy.reading(self.settings.seconds if within_s is None else max(within_s, 0.1)) as table:
                await self._make_room()
                yield table
        except TableNotFound:
            await self._forget(key)
            raise

    async def _make_room(self) -> None:
        """Remove the copies that were used least recently, until the others fit. Raises TableTooLarge."""
        for key, kept in list(self._copies.items()):
            if self._size <= self.settings.cache_bytes:
                return
            if not kept.copy.is_used:
                await self._forget(key)
        if self._size > self.settings.cache_bytes:
            raise TableTooLarge(retry_after=30.0)

    @property
    def copies(self) -> tuple[Copy, ...]:
        """The copies at hand, least recently used first."""
        return tuple(kept.copy for kept in self._copies.values())

    @property
    def _size(self) -> int:
        return sum(kept.copy.bytes for kept in self._copies.values())

    async def _forget(self, key: tuple[str, str]) -> None:
        kept = self._copies.get(key)
        if kept is not None and not kept.copy.is_used:
            del self._copies[key]
            await kept.copy.remove()

    def _begin_sweeping(self) -> None:
        if self._sweeper is None or self._sweeper.done():
            self._sweeper = asyncio.get_running_loop().create_task(self._sweep())

    async def _sweep(self) -> None:
        """What nobody asks for any more goes: it may hold what was erased meanwhile."""
        while True:
            await asyncio.sleep(_SWEEP_S)
            await self.sweep(time.monotonic() - _IDLE_S)
            if not self._copies:
                await self._pool.rest()
                return

    async def sweep(self, used_before: float) -> None:
        """Remove the copies that nobody used since a moment of the monotonic clock."""
        for key, kept in list(self._copies.items()):
            if kept.used_at < used_before:
                await self._forget(key)


def _fault(code: str, detail: str, line: int | None, column: int | None) -> Fault:
    where = "" if line is None else f" (line {line})" if column is None else f" (line {line}, column {column})"
    return Fault("/sql", code, f"{detail}{where}")


def _table(content: bytes) -> Any:
    import pyarrow as pa  # type: ignore[import-untyped]

    with pa.ipc.open_stream(content) as stream:
        return stream.read_all()
