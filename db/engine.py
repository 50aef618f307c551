"""One engine per dialect, with the pragmas and the role that durability and isolation rest on."""

from typing import Any, cast

from sqlalchemy import Engine, event
from sqlalchemy.engine import Connection, make_url
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from db.roles import APP_ROLE
from db.settings import DatabaseSettings
from db.sqlite import BEGIN, SQLiteDialect
from db.tls import split_tls
from db.turn import WritersTurn
from db.types import json_dumps

_MIGRATION_LOCK_TIMEOUT = "5s"
_WRITERS_CACHE = 32_768
_READERS_CACHE = 8_192


def normalise_url(url: str) -> str:
    """The URL as the engines take it: `sqlite:`, and `postgresql:` with its asynchronous driver named.

    Raises ValueError, and TlsRefused for what cannot be done of TLS.
    """
    parsed = make_url(url)
    drivers = {
        "postgresql": "postgresql+asyncpg",
        "postgres": "postgresql+asyncpg",
    }
    named = parsed.set(drivername=drivers.get(parsed.drivername, parsed.drivername))
    if named.get_backend_name() == "postgresql":
        split_tls(named)
    return named.render_as_string(hide_password=False)


def sqlite_engine(settings: DatabaseSettings, turn: WritersTurn | None = None) -> AsyncEngine:
    """An engine on the SQLite file: the one connection that writes in its `turn`, or read-only ones."""
    connections = settings.pool_size if turn is None else 1
    engine = create_async_engine(
        make_url(settings.url).set(drivername=f"sqlite+{'reader' if turn is None else 'writer'}"),
        pool_size=connections,
        threads=connections,
        max_overflow=0,
        pool_timeout=settings.wait_s,
        json_serializer=json_dumps,
        hide_parameters=True,  # what people answered has no place in the text of an error, which is logged
        connect_args={"timeout": settings.wait_s, "isolation_level": None},
        **({} if turn is None else {"turn": turn}),
    )
    _configure_sqlite(engine.sync_engine, writer=turn is not None)

    @event.listens_for(engine.sync_engine, "engine_disposed")
    def _end_threads(disposed: Engine) -> None:
        cast(SQLiteDialect, disposed.dialect).close()

    return engine


def _configure_sqlite(engine: Engine, *, writer: bool) -> None:
    """`synchronous=FULL`, because WAL with NORMAL loses the last commits when the power goes."""

    @event.listens_for(engine, "connect")
    def _configure(connection: Any, _record: Any) -> None:
        cursor = connection.cursor()
        # In KiB, for each connection: the writer is one, readers are many, and behind them is the system's own cache.
        cache = _WRITERS_CACHE if writer else _READERS_CACHE
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", f"cache_size=-{cache}"):
            cursor.execute(f"PRAGMA {pragma}")
        if not writer:
            cursor.execute("PRAGMA query_only=ON")
        cursor.close()

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        connection.exec_driver_sql(BEGIN if writer else "BEGIN")


def postgres_engine(settings: DatabaseSettings) -> AsyncEngine:
    """A pooled engine whose connections work as the application role."""
    url, tls = split_tls(make_url(settings.url))
    return create_async_engine(
        url,
        pool_size=settings.pool_size,
        max_overflow=0,
        pool_timeout=settings.wait_s,
        pool_pre_ping=True,
        json_serializer=json_dumps,
        hide_parameters=True,  # what people answered has no place in the text of an error, which is logged
        connect_args={
            **tls,
            "timeout": settings.wait_s,
            "server_settings": {
                "role": APP_ROLE,
                "application_name": "formstream",
                "statement_timeout": "30000",
                "idle_in_transaction_session_timeout": "60000",
            },
        },
    )


def owner_engine(settings: DatabaseSettings, *, writes: bool = True) -> AsyncEngine:
    """An engine that works as the role of the URL, for migrations only; one that only looks locks no SQLite file."""
    if settings.is_sqlite:
        engine = create_async_engine(
            make_url(settings.url).set(drivername="sqlite+writer"),
            connect_args={"timeout": settings.wait_s, "isolation_level": None},
        )

        @event.listens_for(engine.sync_engine, "connect")
        def _configure(connection: Any, _record: Any) -> None:
            # The file keeps the mode: changing it later, while others open the file, fails with "locked".
            connection.execute("PRAGMA journal_mode=WAL")

        @event.listens_for(engine.sync_engine, "begin")
        def _begin(connection: Connection) -> None:
            # The driver by itself begins no transaction for what changes tables: a killed migration would be half done.
            connection.exec_driver_sql(BEGIN if writes else "BEGIN")

        return engine
    url, tls = split_tls(make_url(settings.url))
    return create_async_engine(
        url,
        pool_size=1,
        connect_args={
            **tls,
            "timeout": settings.wait_s,
            "server_settings": {
                "lock_timeout": _MIGRATION_LOCK_TIMEOUT,
                "application_name": "formstream-migrate",
            },
        },
    )
