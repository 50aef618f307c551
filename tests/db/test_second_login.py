"""The password of the database is replaced without downtime: docs/runbooks/key-rotation.md."""

import re
import secrets

import asyncpg
import pytest
from sqlalchemy import make_url
from sqlalchemy.exc import DBAPIError

from db.migrate import upgrade
from db.repositories.tenants import TenantRepository
from db.session import Database
from db.settings import DatabaseSettings
from tests.architecture.rooms import ROOT
from tests.conftest import _database_uri, sqlalchemy_url
from tests.factories import make_tenant

RUNBOOK = ROOT / "docs" / "runbooks" / "key-rotation.md"


@pytest.mark.usefixtures("postgres_database")  # which makes the roles that the platform works as
async def test_a_second_login_of_the_same_owner(postgres_server: str) -> None:
    """What the runbook says: whoever logs in with it owns, sees and may do the same, and the first can be closed."""
    owner, second, name = (f"{word}_{secrets.token_hex(4)}" for word in ("formstream", "second", "logins"))
    (commands,) = re.findall(r"```sql\n(.*?)```", RUNBOOK.read_text(encoding="utf-8"), re.DOTALL)
    commands = commands.replace("formstream_b", second).replace("formstream", owner)
    opening, _, closing = commands.partition("-- when")
    server = await asyncpg.connect(postgres_server)
    await server.execute(f"CREATE ROLE {owner} LOGIN NOSUPERUSER NOBYPASSRLS CREATEROLE PASSWORD 'first'")
    await server.execute(f"GRANT formstream_app, formstream_system TO {owner} WITH ADMIN OPTION")
    await server.execute(f"CREATE DATABASE {name} OWNER {owner}")

    def settings(user: str) -> DatabaseSettings:
        url = make_url(sqlalchemy_url(_database_uri(postgres_server, name))).set(username=user)
        return DatabaseSettings(url=url.render_as_string(hide_password=False))

    await upgrade(settings(owner))
    first = Database(settings(owner))
    await make_tenant(first, "acme")
    await server.execute(opening)
    other = Database(settings(second))
    try:
        await make_tenant(other, "globex")
        for database in (first, other):
            for tenant in ("acme", "globex"):
                async with database.read(tenant) as unit:
                    found = await TenantRepository(unit.session, unit.tenant).get()
                    assert found is not None
        await upgrade(settings(second))
        await first.close()
        await server.execute(closing.partition("\n")[2])
        with pytest.raises(DBAPIError, match="not permitted to log in"):
            await first.ping()
        await other.ping()
    finally:
        await first.close()
        await other.close()
        await server.execute(f"DROP DATABASE {name} WITH (FORCE)")
        await server.execute(f"DROP ROLE {second}; DROP OWNED BY {owner}; DROP ROLE {owner}")
        await server.close()
