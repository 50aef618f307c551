"""What a PostgreSQL server says about itself and about the role that is logged in."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text

from db.engine import owner_engine
from db.settings import DatabaseSettings

_FACTS = text("""
SELECT current_setting('server_version_num')::int / 10000 AS version,
       r.rolsuper AS superuser,
       r.rolbypassrls AS bypasses_isolation,
       current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int AS connections,
       current_setting('fsync') = 'on' AND current_setting('full_page_writes') = 'on' AS survives_power_cut,
       current_setting('synchronous_commit') <> 'off' AS commits_are_durable,
       COALESCE((SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()), false) AS encrypted,
       clock_timestamp() AS now
FROM pg_roles r WHERE r.rolname = current_user
""")


@dataclass(frozen=True, slots=True)
class ServerFacts:
    """`version` is the major one, `connections` how many roles that are no superusers may open, `now` its clock."""

    version: int
    superuser: bool
    bypasses_isolation: bool
    connections: int
    survives_power_cut: bool
    commits_are_durable: bool
    encrypted: bool
    now: datetime


async def server_facts(settings: DatabaseSettings) -> ServerFacts:
    """Ask the server, as the role of the URL. Raises what SQLAlchemy and the driver raise."""
    engine = owner_engine(settings)
    try:
        async with engine.connect() as connection:
            row = (await connection.execute(_FACTS)).mappings().one()
    finally:
        await engine.dispose()
    return ServerFacts(**row)
