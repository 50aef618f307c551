"""The database before anything works with it: reachable, at the newest schema, with an administrator."""

import asyncio
import json
from pathlib import Path

from asyncpg.exceptions import InterfaceError, PostgresError  # type: ignore[import-untyped]
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError

from db.errors import DatabaseError
from db.migrate import upgrade
from db.session import Database
from db.settings import DatabaseSettings
from deployments.identity.bootstrap import GeneratedAdministrator, ensure_administrator
from deployments.jobs.schedules import ensure_standing
from deployments.kit.kept_keys import KeptKeys
from deployments.kit.principal import PLATFORM_TENANT
from deployments.kit.vault import Vault
from serve_app.backup.restoring import require_whole
from serve_app.cli.failure import CommandFailed
from serve_app.cli.keys import signing_keys
from serve_app.cli.private_file import write_private
from serve_app.schedulable import SCHEDULABLE
from serve_app.settings import Settings


def check_file(database: DatabaseSettings) -> None:
    """See that the file of a SQLite database can be written. Raises CommandFailed."""
    if database.is_sqlite:
        _check_file(make_url(database.url).database)


def migrate(settings: DatabaseSettings) -> None:
    """Apply every missing migration. Raises CommandFailed with the reason when the database cannot be used."""
    check_file(settings)
    try:
        asyncio.run(upgrade(settings))
    except (DatabaseError, SQLAlchemyError, PostgresError, InterfaceError, OSError) as error:
        raise CommandFailed(_sentence(error, settings)) from None


def prepare(settings: Settings) -> GeneratedAdministrator | None:
    """Migrate and see to it that there is an administrator; the one who was made up, kept in `admin.json`.

    Raises CommandFailed, also for a policy of jobs that does not fit the jobs.
    """
    require_whole(settings.data_dir)
    if settings.job_policy.kinds:
        # Every kind of job is loaded for that.
        from serve_app.subscriptions import check_job_policy

        try:
            check_job_policy(settings)
        except ValueError as error:
            raise CommandFailed(f"FORMSTREAM_JOB_POLICY: {error}.") from None
    migrate(settings.database())
    generated = asyncio.run(_administrator(settings))
    if generated is not None:
        document = {"email": generated.email, "password": generated.password}
        write_private(administrator_file(settings), json.dumps(document, indent=2) + "\n")
    return generated


def administrator_file(settings: Settings) -> Path:
    """Where a generated administrator's credentials are kept."""
    return settings.data_dir / "admin.json"


async def _administrator(settings: Settings) -> GeneratedAdministrator | None:
    async with Database(settings.database()) as database:
        password = settings.admin_password.get_secret_value()
        generated = await ensure_administrator(database, settings.admin_email or None, password or None)
        if settings.signing_algorithm != "HS256":
            await signing_keys(settings, database).ensure(settings.signing_algorithm)
        if settings.has_secret_key():
            await KeptKeys(database, Vault(settings.secret_keys())).note()
        async with database.write(PLATFORM_TENANT) as unit:
            await ensure_standing(unit, {each.kind: each for each in SCHEDULABLE})
        return generated


def _check_file(name: str | None) -> None:
    """See that the database file can be written. Raises CommandFailed."""
    if not name or name == ":memory:":
        raise CommandFailed("A SQLite database needs a file, as in FORMSTREAM_DATABASE_URL=sqlite:////folder/file.db.")
    try:
        # Where SQLite cannot open a file, its asynchronous driver leaves a thread that complains to a closed loop.
        with Path(name).open("ab"):
            pass
    except OSError as error:
        raise CommandFailed(
            f"The database file {name} cannot be written ({error.strerror}), see FORMSTREAM_DATABASE_URL."
        ) from None


def _sentence(error: Exception, settings: DatabaseSettings) -> str:
    reason = " ".join(str(error).split()).rstrip(".: ") or "the database did not answer in time"
    url = make_url(settings.url).render_as_string(hide_password=True)
    return f"{reason[0].upper()}{reason[1:]} (the database is {url}, see FORMSTREAM_DATABASE_URL)."
