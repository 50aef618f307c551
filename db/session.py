"""The unit of work: one transaction of one tenant, and what happens after it commits."""

import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import (
    AbstractAsyncContextManager,
    AsyncExitStack,
    aclosing,
    asynccontextmanager,
    contextmanager,
    nullcontext,
    suppress,
)
from pathlib import Path
from typing import Any, Self, TypeVar

from sqlalchemy import Connection, make_url, text
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, AsyncSession

from db.engine import postgres_engine, sqlite_engine
from db.errors import DatabaseUnavailable, QueryTimeout
from db.pause import Pause
from db.replicas import Replicas
from db.repositories.audit import AuditRepository, Deed
from db.roles import APP_ROLE, SYSTEM_ROLE
from db.settings import DatabaseSettings
from db.turn import WritersTurn

# Connection, resources, operator intervention, serialisation and deadlock (PostgreSQL, appendix A).
_PASSING = ("08", "53", "57P", "40001", "40P01")

Result = TypeVar("Result")

# Both last as long as the transaction. The role is a setting too, so it takes no statement of its own.
_SET_TENANT = text("SELECT set_config('role', :role, true), set_config('app.tenant', :tenant, true)")

_SET_LIMIT = text("SELECT set_config('statement_timeout', :limit, true)")
_CANCELED = "57014"


class UnitOfWork:
    """An open transaction. `tenant_id` is None only in the unscoped units that drain queues over all tenants."""

    __slots__ = ("_database", "_deeds", "_session", "_tenants", "_topics", "connection", "tenant_id")

    def __init__(self, database: "Database", connection: AsyncConnection, tenant_id: str | None) -> None:
        self._database = database
        self._session: AsyncSession | None = None
        self.connection = connection
        self.tenant_id = tenant_id
        self._tenants = set() if tenant_id is None else {tenant_id}
        self._topics: set[str] = set()
        self._deeds: list[Deed] = []

    @property
    def tenant(self) -> str:
        """The tenant of this unit; raises LookupError in an unscoped one."""
        if self.tenant_id is None:
            raise LookupError("this unit of work belongs to no tenant")
        return self.tenant_id

    @property
    def session(self) -> AsyncSession:
        """The objects of this unit. What only reads rows does better with the `connection`, without a session."""
        if self._session is None:
            self._session = AsyncSession(bind=self.connection, expire_on_commit=False)
        return self._session

    def announce(self, topic: str) -> None:
        """Tell the database's listeners, once the transaction is durable, that there is something on `topic`."""
        self._topics.add(topic)

    def audit(self, deed: Deed) -> None:
        """Write the deed into the tenant's audit trail, in this transaction."""
        self._deeds.append(deed)

    async def enter_tenant(self, tenant_id: str) -> None:
        """Narrow an unscoped unit to one tenant, for what follows in the same transaction."""
        await self.seal()
        await self._database.scope(self.connection, tenant_id)
        self.tenant_id = tenant_id
        self._tenants.add(tenant_id)

    async def seal(self) -> None:
        """Send what waits to the database. The audit trail comes last: the lock on its end is to be short."""
        if self._session is not None:
            await self._session.flush()
        if self._deeds:
            deeds, self._deeds = self._deeds, []
            await AuditRepository(self.session, self.tenant).append(deeds)

    async def aclose(self) -> None:
        """Let go of the objects."""
        if self._session is not None:
            await self._session.close()

    def committed(self, *, wrote: bool = True) -> None:
        """The transaction is durable."""
        if wrote:
            self._database.pin(self._tenants)
        if self._topics:
            self._database.announce(frozenset(self._topics))


def bind_tenant(connection: Connection, tenant_id: str | None) -> None:
    """Bind the transaction to a tenant for PostgreSQL's row-level security (None: all tenants)."""
    if connection.dialect.name == "postgresql":
        role = SYSTEM_ROLE if tenant_id is None else APP_ROLE
        connection.execute(_SET_TENANT, {"role": role, "tenant": tenant_id or ""})


class Database:
    """The engines of one process. Use `read` and `write` per tenant; `unscoped_*` only to drain queues.

    `transact` and `view` are for the hot paths: a whole transaction as one function on a synchronous connection.
    """

    def __init__(self, settings: DatabaseSettings) -> None:
        self.settings = settings
        self.is_sqlite = settings.is_sqlite
        self.writer: AsyncEngine
        self.reader: AsyncEngine
        self._listeners: list[Callable[[frozenset[str]], None]] = []
        self._turn: WritersTurn | None = None
        self._pause = Pause() if settings.yields else None
        self._replicas: Replicas | None = None
        if settings.is_sqlite:
            turn = Path(f"{make_url(settings.url).database}.turn")
            self._turn = WritersTurn(turn, settings.wait_s, self._pause)
            self.writer = sqlite_engine(settings, self._turn)
            self.reader = sqlite_engine(settings)
        else:
            self.writer = self.reader = postgres_engine(settings)
            if settings.replica_urls:
                self._replicas = Replicas(settings, self.reader)
        # A read transaction of SQLite is a snapshot anyhow.
        self._snapshots = self.reader if settings.is_sqlite else _repeatable(self.reader)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close every connection."""
        if self._turn is not None:
            self._turn.close()
        if self._replicas is not None:
            await self._replicas.close()
        await self.writer.dispose()
        if self.reader is not self.writer:
            await self.reader.dispose()

    def listen(self, listener: Callable[[frozenset[str]], None]) -> None:
        """Call `listener` with the topics of each commit of this process: `events`, `jobs.<queue>`."""
        self._listeners.append(listener)

    def announce(self, topics: frozenset[str]) -> None:
        """Tell the listeners what a commit brought. A hint: a poll must find what a lost hint would have shown."""
        for listener in self._listeners:
            listener(topics)

    def pin(self, tenant_ids: Iterable[str]) -> None:
        """The tenants were written to until now, here or elsewhere: no replica that lacks it may answer for them.
        Units of work tell of what they write themselves."""
        if self._replicas is not None:
            self._replicas.pin(tenant_ids)

    async def ping(self) -> None:
        """One round trip; raises DatabaseUnavailable."""
        async with self.connect(self.reader) as connection:
            await connection.execute(text("SELECT 1"))

    async def transact(self, work: Callable[[Connection], Result]) -> Result:
        """The result of `work` in an unscoped write transaction, durable on return.

        Raises DatabaseUnavailable, or what `work` raised.
        """
        async with self.connect(self.writer) as connection:
            return await connection.run_sync(_bound, work, None)

    async def view(self, work: Callable[[Connection], Result], tenant_id: str | None = None) -> Result:
        """The result of `work` in a read transaction of the tenant, of none when there is no tenant; see `transact`."""
        async with self.connect(self.reader) as connection:
            return await connection.run_sync(_bound, work, tenant_id)

    async def scope(self, connection: AsyncConnection, tenant_id: str | None) -> None:
        """See `bind_tenant`."""
        await connection.run_sync(bind_tenant, tenant_id)

    @asynccontextmanager
    async def connect(self, engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
        """A transaction on `engine`, committed at the end; connection failures become DatabaseUnavailable."""
        async with self._turn_on(engine):
            with _translated():
                async with engine.begin() as connection:
                    yield connection

    def _turn_on(self, engine: AsyncEngine) -> AbstractAsyncContextManager[None]:
        if engine is not self.writer:
            return nullcontext()
        if self._turn is not None:
            return self._turn.taken()
        return nullcontext() if self._pause is None else self._pause.kept()

    @asynccontextmanager
    async def _unit(
        self, engine: AsyncEngine, tenant_id: str | None, *, writes: bool = False
    ) -> AsyncIterator[UnitOfWork]:
        async with self.connect(engine) as connection:
            await self.scope(connection, tenant_id)
            async with aclosing(UnitOfWork(self, connection, tenant_id)) as unit:
                yield unit
                await unit.seal()
        unit.committed(wrote=writes)

    @asynccontextmanager
    async def read(self, tenant_id: str, *, tolerant: bool = False) -> AsyncIterator[UnitOfWork]:
        """A tenant's consistent view; nothing may be written in it.

        A tolerant one may be `replica_lag_s` seconds old, but not older than what this process knows to be written; a
        replica answers it when there is one.
        """
        async with self._view_of(tenant_id, self.reader, tolerant=tolerant) as unit:
            yield unit

    @asynccontextmanager
    async def _view_of(self, tenant_id: str, engine: AsyncEngine, *, tolerant: bool) -> AsyncIterator[UnitOfWork]:
        replicas = self._replicas
        replica = replicas.choose(tenant_id) if tolerant and replicas is not None else None
        async with AsyncExitStack() as stack:
            unit: UnitOfWork | None = None
            if replicas is not None and replica is not None:
                theirs = replica.engine if engine is self.reader else _repeatable(replica.engine)
                try:
                    unit = await stack.enter_async_context(self._unit(theirs, tenant_id))
                except (DatabaseUnavailable, DBAPIError):
                    replicas.rest(replica)
            if unit is None:
                replica = None
                unit = await stack.enter_async_context(self._unit(engine, tenant_id))
            try:
                yield unit
            except (DatabaseUnavailable, DBAPIError):
                if replicas is not None and replica is not None:
                    replicas.rest(replica)
                raise

    @asynccontextmanager
    async def snapshot(
        self, tenant_id: str, *, limit_s: float = 10.0, tolerant: bool = False
    ) -> AsyncIterator[UnitOfWork]:
        """As `read`; every statement sees the same moment. One that is at work after `limit_s` seconds is ended, and
        QueryTimeout raised."""
        view = self._view_of(tenant_id, self._snapshots, tolerant=tolerant)
        async with view as unit, _limited(unit, limit_s):
            yield unit

    @asynccontextmanager
    async def write(self, tenant_id: str) -> AsyncIterator[UnitOfWork]:
        """A tenant's transaction, committed when the block ends without an exception."""
        async with self._unit(self.writer, tenant_id, writes=True) as unit:
            yield unit

    @asynccontextmanager
    async def unscoped_read(self) -> AsyncIterator[UnitOfWork]:
        """A view over all tenants: credentials, queues, operators."""
        async with self._unit(self.reader, None) as unit:
            yield unit

    @asynccontextmanager
    async def unscoped_write(self) -> AsyncIterator[UnitOfWork]:
        """A transaction over all tenants: claims and marks of queues, tenant life cycle."""
        async with self._unit(self.writer, None, writes=True) as unit:
            yield unit


@asynccontextmanager
async def _limited(unit: UnitOfWork, limit_s: float) -> AsyncIterator[None]:
    connection = unit.connection
    sqlite: Any = None
    if connection.dialect.name == "postgresql":
        await connection.execute(_SET_LIMIT, {"limit": str(int(limit_s * 1000))})
    else:
        sqlite = (await connection.get_raw_connection()).driver_connection
        sqlite.limit(time.monotonic() + limit_s)
    try:
        yield
    except DBAPIError as error:
        if getattr(error.orig, "sqlstate", None) == _CANCELED or str(error.orig) == "interrupted":
            raise QueryTimeout(str(error.orig)) from error
        raise
    finally:
        if sqlite is not None:
            # A statement that was given up half way has closed its connection.
            with suppress(sqlite3.ProgrammingError):
                sqlite.limit(None)


def _repeatable(engine: AsyncEngine) -> AsyncEngine:
    return engine.execution_options(isolation_level="REPEATABLE READ")


def _bound(connection: Connection, work: Callable[[Connection], Result], tenant_id: str | None) -> Result:
    bind_tenant(connection, tenant_id)
    return work(connection)


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except (PoolTimeout, OSError) as error:
        raise DatabaseUnavailable(str(error)) from error
    except DBAPIError as error:
        if isinstance(error, OperationalError) or error.connection_invalidated or _is_passing(error):
            raise DatabaseUnavailable(str(error.orig)) from error
        raise


def _is_passing(error: DBAPIError) -> bool:
    """Whether PostgreSQL refused for a reason that passes: asyncpg's failures never are OperationalErrors."""
    state = str(getattr(error.orig, "sqlstate", None) or "")
    return state.startswith(_PASSING)
