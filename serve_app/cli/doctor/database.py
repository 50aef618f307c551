"""The database: reachable, durable, at the schema of this code, with room for every replica's connections."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from asyncpg.exceptions import InterfaceError, PostgresError  # type: ignore[import-untyped]
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError

from db.errors import DatabaseError
from db.migrate import current_revision, head_revision, is_ahead, knows
from db.server_facts import ServerFacts, server_facts
from db.settings import DatabaseSettings
from db.types import utc_now
from serve_app.cli.doctor.finding import Finding, doubtful, fine, wrong
from serve_app.cli.doctor.installation import Installation, is_local
from serve_app.cli.doctor.placement import Pools, pools
from serve_app.placement import InvalidPlacement

UNREACHABLE: Final = (DatabaseError, SQLAlchemyError, PostgresError, InterfaceError, OSError)
_WAIT_S: Final = 5.0
_SKEW: Final = timedelta(seconds=2)
_OLDEST: Final = 15
_NEEDS_POSTGRES: Final = "Set FORMSTREAM_DATABASE_URL to a PostgreSQL database."


async def examine(installation: Installation) -> list[Finding]:
    """Look at the database of the settings, without changing it."""
    try:
        settings = installation.settings.database().model_copy(update={"wait_s": _WAIT_S})
    except ValueError:
        return []  # said already, with the settings
    if settings.is_sqlite:
        return await _sqlite(settings, embedded=installation.embedded)
    return await _postgres(settings, installation)


async def _sqlite(settings: DatabaseSettings, *, embedded: bool) -> list[Finding]:
    name = "database.reachable"
    if not embedded:
        return [wrong(name, "SQLite is for one machine, and this configuration is for a cluster.", _NEEDS_POSTGRES)]
    file = Path(make_url(settings.url).database or "")
    if not file.exists():  # noqa: ASYNC240 - nothing waits for this loop
        return [fine(name, f"{file} is made at the first start.")]
    try:
        revision = await current_revision(settings)
    except UNREACHABLE as error:
        cure = "See who owns the file; a damaged one is replaced from a backup."
        return [wrong(name, f"{file} cannot be opened: {_reason(error)}.", cure)]
    return [fine(name, f"{file} can be opened."), schema(revision)]


async def _postgres(settings: DatabaseSettings, installation: Installation) -> list[Finding]:
    shown = make_url(settings.url).render_as_string(hide_password=True)
    name = "database.reachable"
    try:
        facts = await server_facts(settings)
        asked = utc_now()
        revision = await current_revision(settings)
    except UNREACHABLE as error:
        cure = "See FORMSTREAM_DATABASE_URL: host, port, password (PGPASSWORD), and whether the server lets you in."
        return [wrong(name, f"{shown} does not answer: {_reason(error)}.", cure)]
    try:
        placed = pools(installation.serve_config)
    except InvalidPlacement:
        placed = Pools(0, 0)  # said already, with the configuration
    return [
        version(facts, shown),
        role(facts),
        *durability(facts),
        connections(facts, placed, settings.pool_size),
        encryption(settings, facts),
        clock(facts.now, asked),
        schema(revision),
    ]


def version(facts: ServerFacts, shown: str) -> Finding:
    """Whether the platform was tried with it."""
    name = "database.reachable"
    if facts.version < _OLDEST:
        return doubtful(name, f"PostgreSQL {facts.version} is old.", f"Use {_OLDEST} or newer; 18 is tested.")
    return fine(name, f"PostgreSQL {facts.version} answers at {shown}.")


def role(facts: ServerFacts) -> Finding:
    """Row-level security holds for the roles that the platform works as; the one it logs in with may undo that."""
    name = "database.role"
    if facts.superuser or facts.bypasses_isolation:
        what = "is a superuser" if facts.superuser else "has BYPASSRLS"
        return doubtful(
            name,
            f"The role of FORMSTREAM_DATABASE_URL {what}: with its password, nothing keeps tenants apart.",
            "Use one that owns the database and has CREATEROLE: ALTER ROLE … NOSUPERUSER NOBYPASSRLS CREATEROLE.",
        )
    return fine(name, "The role that logs in is held by row-level security.")


def durability(facts: ServerFacts) -> Iterator[Finding]:
    """What is answered with 201 has to be there after the power was cut."""
    name = "database.durable"
    if not facts.survives_power_cut:
        yield wrong(
            name,
            "fsync or full_page_writes is off: when the power goes, the database may be lost.",
            "ALTER SYSTEM SET fsync = on; ALTER SYSTEM SET full_page_writes = on; SELECT pg_reload_conf();",
        )
    if not facts.commits_are_durable:
        yield wrong(
            name,
            "synchronous_commit is off: the last submissions are lost in a crash, though they were acknowledged.",
            "ALTER SYSTEM SET synchronous_commit = on; SELECT pg_reload_conf();",
        )
    if facts.survives_power_cut and facts.commits_are_durable:
        yield fine(name, "What is committed stays.")


def connections(facts: ServerFacts, placed: Pools, pool_size: int) -> Finding:
    """Room for every pool: of old and new replicas while they are replaced, and of all that autoscaling may start."""
    name = "database.connections"
    replaced, scaled = 2 * placed.least * pool_size, placed.most * pool_size
    cure = f"Set max_connections to {max(replaced, scaled) + 20}, or lower FORMSTREAM_DATABASE_POOL_SIZE."
    if facts.connections < replaced:
        says = f"{facts.connections} connections; replicas take {replaced} while they are replaced."
        return wrong(name, says, cure)
    if facts.connections < scaled:
        return doubtful(name, f"{facts.connections} connections; all that may be started take {scaled}.", cure)
    return fine(name, f"{facts.connections} connections, of which replicas take {max(replaced, scaled)} at most.")


def encryption(settings: DatabaseSettings, facts: ServerFacts) -> Finding:
    """To another machine nobody may read along or answer in the server's place."""
    name = "database.tls"
    url = make_url(settings.url)
    mode = url.query.get("sslmode", url.query.get("ssl", "prefer"))
    if not is_local(url.host) and mode != "verify-full":
        says = "encrypts, but nobody checks who answers" if facts.encrypted else "is not encrypted"
        return doubtful(
            name,
            f"The connection to {url.host} {says} (sslmode={mode}).",
            "Add ?sslmode=verify-full&sslrootcert=/path/ca.pem to FORMSTREAM_DATABASE_URL.",
        )
    return fine(name, "It is on this machine." if is_local(url.host) else "Encrypted, and the server is checked.")


def clock(theirs: datetime, ours: datetime) -> Finding:
    """Tokens, leases and schedules compare moments that different machines wrote down."""
    name = "machine.clock"
    apart = abs(theirs - ours)
    says = f"The clocks of this machine and of the database are {apart.total_seconds():.1f} s apart."
    if apart > _SKEW:
        return wrong(name, says, "Synchronise both: chrony or systemd-timesyncd; `timedatectl` says whether it works.")
    return fine(name, says)


def schema(revision: str | None) -> Finding:
    """Whether code and tables fit."""
    name = "database.schema"
    head = head_revision()
    if revision == head:
        return fine(name, f"At revision {head}.")
    if revision is None or knows(revision):
        return wrong(
            name, f"At revision {revision or 'none'}, and this code needs {head}.", "Run `formstream migrate`."
        )
    if is_ahead(revision):
        return doubtful(
            name,
            f"At revision {revision}, of a newer version; this one, which knows {head}, works with it.",
            f"Install that version again, or take its migrations back with it: `formstream migrate --to {head}`.",
        )
    return wrong(
        name,
        f"At revision {revision}, which no version made.",
        "Restore the backup from before it.",
    )


def _reason(error: BaseException) -> str:
    return " ".join(str(getattr(error, "orig", None) or error).split()).rstrip(". ") or type(error).__name__
